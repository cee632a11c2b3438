"""Which commit of this code runs here."""

from pathlib import Path

from dfp_platform.settings import PROJECT_ROOT


def git_tags(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """The git commit of the code in `root`, and whether files that git knows differ from it; empty outside of git.

    An installed package that only lies somewhere in the checkout of another project is outside of git.
    """
    import pygit2

    found = pygit2.discover_repository(str(root))
    if found is None:
        return {}
    repository = pygit2.Repository(found)
    if repository.workdir is None or Path(repository.workdir).resolve() != root.resolve() or repository.head_is_unborn:
        return {}
    changed = any(
        flags not in (pygit2.enums.FileStatus.CURRENT, pygit2.enums.FileStatus.IGNORED)
        for flags in repository.status(untracked_files="no").values()
    )
    return {"git.commit": str(repository.head.target), "git.dirty": str(changed).lower()}
