"""Pictures of strangers are decoded apart from the app."""
