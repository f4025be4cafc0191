FROM python:3.11-slim

# skia-python, which draws the aviary, links to these even where it draws without a screen.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 avsl
WORKDIR /home/avsl/app

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

COPY --chown=avsl:avsl app app
COPY --chown=avsl:avsl avsl_core avsl_core
COPY --chown=avsl:avsl assets assets
COPY --chown=avsl:avsl checkpoints checkpoints
COPY --chown=avsl:avsl train_cli.py LICENSE README.md ./

USER avsl
# Galleries that visitors build outlive the container if this folder is a volume.
ENV AVSL_GALLERIES=/home/avsl/galleries
RUN mkdir /home/avsl/galleries
VOLUME /home/avsl/galleries
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "-m", "app", "--host", "0.0.0.0"]
