"""Make docs/images/report.png: mine the gooaq sample, write its report, and take a picture of the page.

    python docs/images/make_report.py

Needs the extra `test` (playwright) and a Chromium on the PATH, or named in CHROMIUM.
"""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import minerkit
from minerkit.pipeline import report_run

PICTURE = Path(__file__).with_name("report.png")
#: Pixels of the picture, and the most bytes it may have.
WIDTH, HEIGHT, BYTES = 1200, 1000, 200_000


def main() -> None:
    """Make the picture."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser_path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.chdir(folder)
        run = minerkit.mine(minerkit.load_recipe("gooaq", sample=True), Path("runs/gooaq"), "cpu")
        report_run(run.folder)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"file://{Path('runs/gooaq/report.html').resolve()}")
        page.screenshot(path=PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    if size > BYTES:
        raise SystemExit(f"{PICTURE}: {size:,} bytes; at most {BYTES:,} are wanted")


if __name__ == "__main__":
    main()
