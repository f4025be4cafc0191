"""The Gradio application: python -m app."""
