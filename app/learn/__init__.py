"""The Learn page: a tour for people who never heard of embeddings."""
