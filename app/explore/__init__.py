"""The Explore page: neighbours in a gallery, and the galleries themselves."""
