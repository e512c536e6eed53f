"""A page that is open in a browser, and everything that it tried to load, wrote to the console or asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.judge.result import Result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

WIDTH, HEIGHT = 1440, 900
PATIENCE_MS = 15_000

# The overview is there at once; the tables of a run come after its picture; a run without a picture has words.
_STANDS = """() => {
  const stage = document.querySelector("#stage");
  if (!stage || document.querySelector("#plain")) return false;
  const isRun = /^#.run/.test(location.hash);
  if (/^There is no row/.test(stage.querySelector("h1")?.textContent)) return true;
  return Boolean(stage.querySelector(isRun ? ".below > *, .words" : ".overview"));
}"""


@dataclass
class Opened:
    """One page.

    Attributes:
        requests: addresses that it asked for, beside its own file; each was refused.
        errors: what was written to the console as an error, and exceptions that nobody caught.
        dialogs: what `alert` and its like would have shown.
    """

    page: Page
    context: BrowserContext
    own: str
    has_scripts: bool = True
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fails if it tried anything."""
        assert (self.requests, self.errors, self.dialogs) == ([], [], [])

    def forget(self) -> None:
        """What it tried until now is no longer told."""
        self.requests.clear()
        self.errors.clear()
        self.dialogs.clear()

    def close(self) -> None:
        self.context.close()

    def load(self, path: Path, fragment: str = "") -> None:
        """Another file, or the same anew."""
        self.page.goto("about:blank")
        self.own = path.as_uri()
        self.page.goto(f"{self.own}{fragment}")
        self.ready()

    def go(self, fragment: str) -> None:
        """To another place of the same file, as a link that a colleague sent: the page is loaded anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.own}{fragment}")
        self.ready()

    def ready(self) -> None:
        """Wait until the view stands whole; without scripts there is nothing to wait for."""
        self.page.wait_for_load_state("load")
        if self.has_scripts:
            self.page.wait_for_function(_STANDS)

    def show(self, fragment: str) -> None:
        """To another place, as a link of the page itself."""
        # The app's own handler runs before this one, so what stands then is of the new place.
        self.ask(
            "to => new Promise(done => { addEventListener('hashchange', done, {once: true}); location.hash = to })"
            ".then(() => null)",
            fragment,
        )
        self.ready()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def text(self) -> str:
        """What a person reads."""
        return self.page.inner_text("body")

    def ask(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    @property
    def fragment(self) -> str:
        return str(self.ask("location.hash"))


def open_page(browser: Browser, path: Path, fragment: str = "", before: str = "", **options: Any) -> Opened:
    """Open a file without a network.

    Args:
        before: a script that runs before those of the page; what breaks them: it is not waited for the app then.
        options: of Playwright's context: `color_scheme`, `java_script_enabled`, `viewport`, `permissions`.
    """
    context = browser.new_context(**{"viewport": {"width": WIDTH, "height": HEIGHT}, "offline": True, **options})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    opened = Opened(page, context, path.as_uri(), not before and options.get("java_script_enabled", True))
    if before:
        context.add_init_script(before)

    def routed(route: Route) -> None:
        if route.request.url.split("#")[0] in (opened.own, "about:blank"):
            route.continue_()
        else:
            route.abort()

    def requested(request: Any) -> None:
        if request.url.split("#")[0] != opened.own and not request.url.startswith(("data:", "about:blank")):
            opened.requests.append(request.url)

    context.route("**/*", routed)
    page.on("request", requested)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: (opened.dialogs.append(dialog.message), dialog.dismiss()))
    opened.load(path, fragment)
    return opened


Make = Callable[[], list[Result]]
Open = Callable[..., Opened]
Written = Callable[[str, Make], Path]
