"""All is in setup.cfg, but for the README's links, which are absolute on a package index."""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def long_description() -> str:
    """The README, with the addresses of files and pictures at the project's own."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    url = config["metadata"]["url"]
    raw = url.replace("github.com", "raw.githubusercontent.com")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\1{raw}/main/", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\1{url}/blob/main/", text)


if __name__ == "__main__":
    setup(long_description=long_description())
