"""One address before several processes or machines: ``python -m app.front``."""
