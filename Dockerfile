FROM python:3.11-slim

# skia-python, which draws the aviary, links to these even where it draws without a screen.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 avsl
WORKDIR /home/avsl/app

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

# The server cannot write to its own code, so what Python makes of it is made here.
COPY app app
COPY avsl_core avsl_core
COPY assets assets
COPY checkpoints checkpoints
COPY train_cli.py LICENSE README.md ./
RUN python -m compileall -q app avsl_core train_cli.py

# Galleries and kept pictures outlive the container if these folders are volumes.
RUN mkdir /home/avsl/galleries /home/avsl/kept && chown avsl:avsl /home/avsl/galleries /home/avsl/kept
USER avsl
ENV AVSL_GALLERIES=/home/avsl/galleries AVSL_KEPT=/home/avsl/kept
VOLUME /home/avsl/galleries /home/avsl/kept
# Every flag of "python -m app --help" can be given as a variable, such as AVSL_PASSWORD or AVSL_TRUSTED_PROXIES.
ENV AVSL_PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"AVSL_PORT\"]}/healthz', timeout=4)"]
CMD ["python", "-m", "app", "--host", "0.0.0.0"]
