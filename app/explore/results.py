"""The answer to a query as HTML: the picture, the way to it, its neighbours."""

from html import escape
from pathlib import Path

from app.explore.bench import ExploreBench, Found, titles_of
from app.explore.state import Step
from app.explore.table import neighbours_csv
from app.look.printable import printable, unbroken
from avsl_core.search.searcher import Hit

__all__ = ["busy_html", "query_html", "results_html", "trail_html"]

_MOST = 96
_SHORT = 8  # letters of a part's title that fit beside its bar


def query_html(found: Found) -> str:
    """The picture whose neighbours are shown."""
    query = found.query
    title = query.class_name or query.name
    facts = [query.name] if query.class_name else []
    if query.size:
        facts.append("{}\u00a0\u00d7\u00a0{} pixels".format(*query.size))
    if query.step.upload:
        facts.append("your picture, not in the gallery")
    return (
        f'<figure class="explore-query" data-query="{escape(query.step.token)}">'
        f'<img src="{query.large}" alt="The picture asked about: {escape(title)}">'
        f"<figcaption><strong>{escape(title)}</strong><small>{escape(', '.join(facts))}</small></figcaption>"
        "</figure>"
    )


def trail_html(found: Found, bench: ExploreBench) -> str:
    """The steps so far, each one click away; empty on the first."""
    state = found.state
    if len(state.trail) < 2:
        return ""
    last = len(state.trail) - 1
    steps = ""
    for index, step in enumerate(state.trail):
        name = escape(bench.step_name(found.open, step))
        picture = f'<img src="{bench.step_picture(found.open, step)}" alt="">'
        steps += (
            f'<li><span aria-current="step" title="{name}">{picture}'
            f'<span class="explore-hidden">{name}, shown now</span></span></li>'
            if index == last
            else f'<li><a href="explore?{escape(state.back_to(index).link())}" data-step="{index}" '
            f'aria-label="Back to step {index + 1}, {name}" title="{name}">{picture}</a></li>'
        )
    return (
        '<nav class="explore-trail" aria-label="Steps so far">'
        f'<a class="explore-pill" href="explore?{escape(state.back_to(last - 1).link())}" '
        f'data-step="{last - 1}">← Back</a><ol>{steps}</ol></nav>'
    )


def results_html(found: Found, bench: ExploreBench) -> str:
    """The neighbours as cards, under what the search took, with the means to take them away."""
    state, hits = found.state, found.result.hits
    if not hits:
        return (
            f'<section class="explore-results" tabindex="-1" aria-label="Neighbours" '
            f'data-link="{escape(state.link())}">'
            '<p class="explore-status" role="status">There is no other picture of these classes: take a '
            "class away above to see more.</p></section>"
        )
    cards = "".join(_card(rank, hit, found, bench) for rank, hit in enumerate(hits, 1))
    more = (
        f'<a class="explore-pill" data-more="1" href="explore?{escape(state.with_more().link())}">'
        "Show more</a>"
        if len(hits) < min(_MOST, found.result.searched) and len(hits) == state.k
        else ""
    )
    table = escape(neighbours_csv(found), quote=True).replace("\r", "&#13;").replace("\n", "&#10;")
    return (
        f'<section class="explore-results" tabindex="-1" aria-label="Neighbours" '
        f'data-link="{escape(state.link())}" data-generation="{escape(state.generation)}">'
        f'<p class="explore-status" role="status">{_status(found)}</p>'
        f'<p class="note">{_reading(found)}</p><ol class="explore-cards">{cards}</ol>'
        f'<p class="explore-after">{more}<button type="button" class="explore-pill" data-csv="{table}">'
        f'Save as CSV</button></p><p class="note explore-how">{_search(found)}</p></section>'
    )


def busy_html(words: str, done: int, total: int) -> str:
    """How far something has come, in words and as a bar."""
    bar = (
        f'<progress value="{done}" max="{total}" aria-label="{done} of {total}"></progress>' if total else ""
    )
    return f'<div class="explore-busy"><p>{escape(words)}</p>{bar}</div>'


def _card(rank: int, hit: Hit, found: Found, bench: ExploreBench) -> str:
    state, item = found.state, hit.item
    file = printable(Path(item.name).name)
    name = printable(item.class_name) if item.class_name else file
    same = found.query.class_name is not None and name == found.query.class_name
    parts = found.open.searcher.measure.parts
    titles = dict(zip(parts, titles_of(found.open), strict=True))
    decided = titles[hit.decided_by][0] + " decided" if len(titles) > 1 else ""
    words = f"{name}, {file}, distance {hit.distance:.3f}{', same class' if same else ''}"
    onward = state.with_query(Step(row=item.row)).link()
    pair = bench.pair_link(found, item.row)
    mark = '<span class="same">✓ same class</span>' if same else ""
    score = f'<small class="score">weighted {hit.score:.3f}</small>' if state.weights else ""
    return (
        f'<li data-row="{item.row}"><a class="pick" data-row="{item.row}" href="explore?{escape(onward)}" '
        f'aria-label="Neighbour {rank}: {escape(words)}. Show its neighbours">'
        f'<span class="frame"><img src="{bench.thumbnail(found.open, item.row)}" alt="{escape(name)}">'
        f'<span class="rank">{rank}</span>{mark}</span>'
        f'<span class="figures"><strong data-value="{hit.distance!r}">{hit.distance:.3f}</strong>'
        f"{score}</span>"
        f'<span class="name" title="{escape(printable(item.name))}">{escape(name)}</span></a>'
        f"{_bars(hit, found, titles)}"
        f'<p class="foot"><span class="why">{escape(decided)}</span>'
        f'<a class="compare" href="./?{escape(pair)}" '
        f'aria-label="Compare with neighbour {rank}, {escape(name)}">Compare</a></p></li>'
    )


def _bars(hit: Hit, found: Found, titles: dict[str, tuple[str, str]]) -> str:
    """One bar a level: its part of the distance, held against that of a typical pair."""
    rows, words = "", []
    for part, (title, _) in titles.items():
        typical = found.open.searcher.typical[part]
        share = hit.parts[part] / typical if typical > 0 else 0.0
        words.append(f"{title} {hit.parts[part]:.3f}, {100 * share:.0f} percent of a typical pair")
        kind = "bar decided" if part == hit.decided_by and len(titles) > 1 else "bar"
        rows += (
            f'<span class="{kind}"><span class="of">{escape(title)}</span><span class="track">'
            f'<span class="fill" style="width:{100 * min(1.0, share):.1f}%"></span></span></span>'
        )
    wide = " wide" if any(len(title) > _SHORT for title, _ in titles.values()) else ""
    return f'<span class="bars{wide}" role="img" aria-label="{escape("; ".join(words))}">{rows}</span>'


def _status(found: Found) -> str:
    """How many neighbours there are, and of which kind."""
    result = found.result
    count = f"<strong>The {len(result.hits)} nearest of {result.searched:,} pictures</strong>"
    if len(result.hits) == 1:
        count = f"<strong>The nearest of {result.searched:,} pictures</strong>"
    kin = ""
    if found.kin is not None and found.kin[1] > 0 and not found.state.classes:
        kin = f", with {found.kin[0]} of the {found.kin[1]} others of its class"
        if found.kin[1] == 1:
            kin = ", with the one other of its class" if found.kin[0] else ""
    return f"{count}{kin}."


def _search(found: Found) -> str:
    """How they were found."""
    result = found.result
    time = f"{max(1, round(1000 * result.seconds))} ms"
    measured = f"measured {result.verified:,} of {result.searched:,} in full"
    how = f"{measured}; a lower limit of the distance shows that the rest are farther"
    if result.mode == "fast":
        how = f"{measured}, chosen by the fast index"
        if result.recall is not None:
            how += f", which finds {100 * result.recall:.1f} % of the true neighbours"
    elif result.verified >= result.searched:
        how = "measured all of them in full"
    return unbroken(f"Searched in {time}: {how}.")


def _reading(found: Found) -> str:
    parts = found.open.searcher.measure.parts
    kind = "level" if all(part.startswith("level") for part in parts) else "part"
    text = (
        f"Smaller is closer. A bar tells how far apart the two are {'on' if kind == 'level' else 'in'} a "
        f"{kind}; a full bar, as far as two pictures drawn at random, or farther."
    )
    if len(parts) > 1:
        text += f" The {kind} in colour decided: it takes the most off the distance of such a pair."
    if found.state.weights:
        text += " The order follows the weighted distance."
    return text
