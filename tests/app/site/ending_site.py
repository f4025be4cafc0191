"""A small site in a process of its own, which is to be told to end: python ending_site.py PORT"""

import sys
import threading
import time

import gradio as gr
from fastapi import FastAPI

from app.settings import Settings
from app.site.asgi import build_site
from app.site.leaving import leave
from app.site.serving import serve_site, take_port
from app.work.turnstile import Turnstile

LONG_S = 300


def main():
    settings = Settings.read(["--port", sys.argv[1]])
    with gr.Blocks() as blocks:
        gr.HTML("<p>A page</p>")

    told = threading.Event()

    def stop():
        blocks.app.stop_event.set()
        told.set()

    def add_doors(site: FastAPI):
        @site.get("/short")
        def short() -> str:
            told.wait(LONG_S)
            time.sleep(0.1)
            return "whole"

        @site.get("/long")
        def long() -> str:
            time.sleep(LONG_S)
            return "too late"

    site = build_site(settings, blocks, turnstile=Turnstile(), doors=add_doors)
    serve_site(site, settings, take_port(settings), on_stop=stop)
    sys.stdout.write("ended\n")


if __name__ == "__main__":
    main()
    leave(0)
