"""Waiting until something changes in folders, by the kernel's events."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from harness.values.errors import HarnessError

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

QUIET_MS = 100
"""Changes are over once none has come for so long: what one command saves is one change."""
MOST_MS = 2_000
"""Or after so long, if they do not end."""
_ADVICE = (
    "name fewer folders, or raise the limits (`sysctl fs.inotify.max_user_watches`, `fs.inotify.max_user_instances`)"
)


class FolderChanges:
    """The folders that are watched now; a context manager that leaves nothing watched."""

    def __init__(self) -> None:
        self._watch: RustNotify | None = None

    def __enter__(self) -> FolderChanges:
        return self

    def __exit__(self, *_: object) -> None:
        self._replace(None)

    def follow(self, folders: Collection[Path]) -> bool:
        """Watch these folders, not those below them, in place of the former ones.

        A folder that was removed and made again is another one, so each change is a reason to call this.

        Returns False if one of them is gone; then the former ones stay watched.

        Raises HarnessError if the system refuses.
        """
        # `watchfiles.watch` begins only when its first changes are asked for; what comes before would be missed.
        from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

        try:
            self._replace(RustNotify([str(folder) for folder in folders], False, False, 0, False, False))
        except FileNotFoundError:
            return False
        except (OSError, UnicodeError, WatchfilesRustInternalError) as error:
            raise HarnessError(f"cannot watch {len(folders)} folders ({error}); {_ADVICE}") from error
        return True

    def wait(self, timeout_ms: int = 0) -> bool:
        """Wait until something has changed since `follow` or the last wait, and until the changes are over.

        Args:
            timeout_ms: return False if nothing has changed for so long; 0 waits on.

        Raises KeyboardInterrupt if a signal ends the command.
        """
        assert self._watch is not None, "no folder is watched"
        seen = self._watch.watch(MOST_MS, QUIET_MS, timeout_ms, None)
        if seen == "signal":
            raise KeyboardInterrupt
        return seen != "timeout"

    def settle(self) -> None:
        """Wait until changes that were noticed otherwise are over, too."""
        self.wait(QUIET_MS)

    def _replace(self, watch: RustNotify | None) -> None:
        before, self._watch = self._watch, watch
        if before is not None:
            before.close()
