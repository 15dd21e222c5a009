"""Where channels, time, rows and columns lie in a tensor, followed through a trial forward.

A convolution leaves (N, C, T', h, w). A transformer writes the same cells as one axis of tokens,
in an order of its own and often after a class token: (N, 1 + T'·h·w, C). Video Swin puts the
channels last: (N, T', h, w, C). The `TokenLayout` of a tensor says which it is; `follow` says what
an operation makes of it; `TokenGrid` turns a layer's output into (N, C, T', h, w) and back.

Tokens of attention have no place of their own: they are mixed. But a residual block adds what it
mixed to the tokens it got, and the sum lies as those did.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, cat, uint8
from torch import bool as bool_type

from ..errors import BadInput, require

# Per axis (time, rows, columns): (offset, stride); cell i is centred on input offset + stride·i.
Places = tuple[tuple[float, float], ...]
CELLS = "thw"


class Part(NamedTuple):
    """A run of entries along one dimension: channels, moments, rows or columns, or tokens.

    `roles` is one of "c", "t", "h", "w"; or, after `extra` entries that are no cells (class
    tokens), several of "thw" with the sizes `sizes`, outermost first.
    """

    roles: str
    sizes: tuple[int, ...]
    extra: int = 0

    @property
    def size(self) -> int:
        """How many entries of the dimension it takes."""
        return self.extra + math.prod(self.sizes)


@dataclass(frozen=True)
class TokenLayout:
    """What lies in each dimension of a tensor, outermost first, and where its cells are centred.

    Sizes of one carry nothing and are left out; so is the batch, which is one in a trial forward.
    """

    dims: tuple[tuple[Part, ...], ...]
    places: Places
    seen: tuple[int | None, ...] = (None, None, None)  # of time, rows, columns: see `Axis`

    def roles(self, dim: int) -> str:
        """Roles in one dimension, such as "thw"."""
        return "".join(part.roles for part in self.dims[dim])

    def extra(self, dim: int) -> int:
        """How many entries of a dimension come before its cells."""
        return sum(part.extra for part in self.dims[dim])

    def dim_of(self, role: str) -> int | None:
        """The dimension that one role has for itself."""
        return next((d for d in range(len(self.dims)) if self.roles(d) == role), None)

    def size(self, role: str) -> int:
        """How many moments ("t"), rows ("h"), columns ("w") or channels ("c") there are."""
        parts = [part for dim in self.dims for part in dim]
        return math.prod(
            size
            for part in parts
            for name, size in zip(part.roles, part.sizes, strict=True)
            if name == role
        )

    @property
    def plain(self) -> bool:
        """Whether it is that of (1, C, T', h, w)."""
        return len(self.dims) == 5 and all(
            self.roles(dim) in ("", role) for dim, role in enumerate("ncthw")
        )

    def with_dim(self, dim: int, *parts: Part) -> TokenLayout:
        """The same with other contents in one dimension."""
        dims = list(self.dims)
        dims[dim] = tuple(part for part in parts if part.size > 1)
        return replace(self, dims=tuple(dims))

    @property
    def token_grid(self) -> TokenGrid | None:
        """How such a tensor becomes (N, C, T', h, w); None where it cannot."""
        inner = [self.roles(dim) for dim in range(1, len(self.dims))]
        roles = "".join(inner)
        first = self.roles(0)  # of the batch, where frames or places were put there
        roles += first
        if len(set(roles)) != len(roles) or not set("hw") & set(roles):
            return None
        if any("c" in one and len(one) > 1 for one in inner) or "c" in first or self.extra(0):
            return None
        names = [f"({' '.join(one)})" if len(one) > 1 else one or "1" for one in inner]
        before = sum(self.extra(dim) for dim in range(len(self.dims)))
        grid = (self.size("t"), self.size("h"), self.size("w"))
        batch = f"(n {' '.join(first)})" if first else "n"
        return TokenGrid(" ".join([batch, *names]), grid, before)


def of_input(shape: Sequence[int]) -> TokenLayout:
    """The layout of a clip (1, 3, T, H, W), whose cells are its pixels."""
    return canonical(shape, ((0.0, 1.0),) * 3)


def canonical(shape: Sequence[int], places: Places) -> TokenLayout:
    """The layout of (1, C, T', h, w)."""
    dims = [(Part(r, (n,)),) if n > 1 else () for r, n in zip("cthw", shape[1:], strict=True)]
    return TokenLayout(((), *dims), places)


# --- a layer's output as a grid of cells, and back ---------------------------------------------


@dataclass(frozen=True)
class TokenGrid:
    """How a layer's output becomes (N, C, T', h, w), and how that becomes the output again.

    Args:
        pattern: what lies in each dimension, as in einops: "n c t h w" for a convolution,
            "n t h w c" for channels last, "n (t h w) c" for tokens. What is missing is of size one;
            so is "1".
        grid: (T', h, w).
        extra: how many entries come before the tokens: one class token, most often.

    Example:
        >>> tokens = TokenGrid("n (t h w) c", (8, 14, 14), extra=1)
        >>> tokens.to_grid(torch.zeros(2, 1 + 8 * 14 * 14, 768)).shape
        torch.Size([2, 768, 8, 14, 14])
    """

    pattern: str
    grid: tuple[int, int, int]
    extra: int = 0

    def __post_init__(self) -> None:
        names = re.findall(r"[^\s()]+", self.pattern)
        known = [name for name in names if name != "1"]
        first = self._dims[:1]
        wrong = [n for n in known if n not in ("n", "c", "t", "h", "w") or known.count(n) > 1]
        if wrong or not first or "n" not in first[0].strip("()").split():
            raise BadInput(
                f"fold {self.pattern!r}: name each of n (clips), c, t, h, w once at most, n in the "
                'first dimension: "n (t h w) c", or "(n t) c h w" for frames in '
                "the batch"
            )

    @classmethod
    def fitting(cls, pattern: str, shape: Sequence[int]) -> TokenGrid:
        """The grid of a pattern, from the shape of an output for one clip.

        Raises:
            BadInput: the pattern does not fit the shape, or leaves the grid open.
        """
        dims = cls(pattern, (1, 1, 1))._dims
        sizes = {"t": 1, "h": 1, "w": 1, "n": 1}
        fits = len(dims) == len(shape)
        for dim, size in zip(dims, shape, strict=False):
            cells = [role for role in dim.strip("()").split() if role in CELLS]
            fits &= len(cells) < 2 and (bool(cells) or dim != "n" or size == 1)
            sizes |= dict.fromkeys(cells, size)
        if not fits:
            raise BadInput(
                f"fold {pattern!r} does not say how {tuple(shape)} is a grid: give "
                "TokenGrid(pattern, (T', h, w), extra=0)"
            )
        return cls(pattern, (sizes["t"], sizes["h"], sizes["w"]))

    def __str__(self) -> str:
        first = f", after {self.extra} that are no cells" if self.extra else ""
        return f"{self.pattern!r} of {'×'.join(map(str, self.grid))}{first}"

    @property
    def _cells(self) -> str:
        """(N, C, T', h, w) in the same words: "n c t h w", "1" for what the pattern lacks."""
        return " ".join(role if role in self.pattern else "1" for role in "ncthw")

    @cached_property
    def _tokens(self) -> int:
        """The dimension that holds the tokens, and what comes before them."""
        dims = self._dims
        return max(range(len(dims)), key=lambda dim: len(set(CELLS) & set(dims[dim])))

    @cached_property
    def _dims(self) -> list[str]:
        """What lies in each dimension: "(n t)", "c", "h", "w"."""
        return re.findall(r"\([^)]*\)|\S+", self.pattern)

    @property
    def plain(self) -> bool:
        """The output is (N, C, T', h, w) already."""
        return self.pattern == self._cells

    @property
    def in_batch(self) -> bool:
        """Whether frames, or places, lie in the batch's dimension: one clip at a time, then.

        Whether the batch is (n t) or (t n) cannot be seen with a single clip, and matters not.
        """
        return not self.pattern.startswith("n ")

    @property
    def among_channels(self) -> bool:
        """Whether it is tokens or channels last; a frame's (c, h, w) as of a 2D network is not."""
        rest = self.pattern[self.pattern.index(")") + 1 :] if self.in_batch else self.pattern[1:]
        roles = re.sub(r"[1t ]", "", rest)
        return roles != "".join(role for role in "chw" if role in roles)

    def _rearranged(self, tensor: Tensor, rule: str) -> Tensor:
        """A tensor in other dimensions, by a rule of einops."""
        require("einops", "networks", "a layer whose cells are tokens or channels last")
        from einops import rearrange

        sizes = {r: n for r, n in zip(CELLS, self.grid, strict=True) if r in self.pattern}
        return rearrange(tensor, rule, **sizes)

    def to_grid(self, output: Tensor) -> Tensor:
        """A layer's output (N, …) as a grid (N, C, T', h, w); class tokens are left out."""
        if self.plain:
            return output
        cells = output.shape[self._tokens] - self.extra
        tokens = output.narrow(self._tokens, self.extra, cells)
        return self._rearranged(tokens, f"{self.pattern} -> {self._cells}")

    def from_grid(self, grid: Tensor, output: Tensor) -> Tensor:
        """A grid (N, C, T', h, w) as the layer's output; class tokens are those of `output`."""
        if self.plain:
            return grid
        tokens = self._rearranged(grid, f"{self._cells} -> {self.pattern}")
        if not self.extra:
            return tokens
        before = output.narrow(self._tokens, 0, self.extra).to(grid.dtype)
        return cat([before, tokens], dim=self._tokens)


# --- what an operation makes of a layout -------------------------------------------------------

_VIEWS = {
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "_reshape_copy"),
    *("unsqueeze", "squeeze", "flatten", "unflatten", "expand"),
}
# These keep a tensor's shape but move or mix its entries.
_MASKS = (bool_type, uint8)
_MIXES = {
    *("bmm", "baddbmm", "matmul", "roll", "gather", "sort"),
    *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
    *("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"),
    *("_scaled_dot_product_attention_math", "scatter", "cumsum", "index_put"),
    *("_scaled_dot_product_fused_attention_overrideable", "_fft_c2c", "_fft_r2c"),
}


def follow(
    name: str,
    args: tuple[Any, ...],
    inputs: list[Tensor],
    output: Tensor,
    known: dict[int, TokenLayout],
    which: int = 0,
) -> TokenLayout | None:
    """The layout of an operation's output, given those of its inputs (by id); None: not known.

    `which` is the number of the output, of an operation that gives pieces.
    """
    sources = [t for t in inputs if id(t) in known]
    if sources and name in ("flip", "index_select", "index"):
        return _picked(name, args, output, known)
    if not sources or name in _MIXES:
        return None
    source = sources[0]
    before = known[id(source)]
    if name in _VIEWS:
        return _viewed(before, output.shape)
    if name in ("permute", "transpose", "t"):
        order = list(range(source.ndim))
        if name == "permute":
            order = [d % source.ndim for d in args[1]]
        else:
            a, b = args[1:3] if name == "transpose" else (0, source.ndim - 1)
            order[a], order[b] = order[b], order[a]
        return replace(before, dims=tuple(before.dims[d] for d in order))
    if name == "convolution":
        _, weight, _, stride, padding, dilation, is_transposed = args[:7]
        if is_transposed:
            return None
        return _slid(before, output, weight.shape[2:], stride, padding, dilation)
    if name.startswith(("max_pool", "avg_pool")):
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        padding = args[3] if len(args) > 3 else [0]
        dilation = args[4] if name.startswith("max") and len(args) > 4 else [1]
        return _slid(before, output, kernel, stride, padding, dilation)
    if name in ("constant_pad_nd", "replication_pad3d", "reflection_pad3d"):
        starts = args[1][0::2]  # last dimension first
        layout: TokenLayout | None = before
        for dim, start in zip(range(source.ndim - 1, -1, -1), starts, strict=False):
            layout = layout and _resized(layout, dim, output.shape[dim], -start)
        return layout
    if name in ("slice", "select", "split", "split_with_sizes", "unbind", "chunk"):
        return _piece(name, args, source, output, before, which)
    if name == "stack":
        return _stacked(args, inputs, output, known)
    if name == "cat":
        return _together(args, inputs, output, known) or _joined(args, inputs, output, known)
    if name in ("mm", "addmm", "linear"):
        # The weights are no cells: only x of x @ W has a layout.
        if source.shape[:-1] != output.shape[:-1] or not set(before.roles(-1)) <= {"c"}:
            return None
        return before.with_dim(output.ndim - 1, Part("c", (output.shape[-1],)))
    # Anything else that keeps the cells keeps the places: ReLU, norms, a residual sum. Branches
    # that meet with different offsets (even kernels) are averaged.
    same = [kept for t in sources if (kept := _kept(known[id(t)], t, output)) is not None]
    same = [k for k in same if k.dims == same[0].dims and _strides(k) == _strides(same[0])]
    if not same:
        return None
    middle = tuple(
        (sum(k.places[a][0] for k in same) / len(same), same[0].places[a][1]) for a in range(3)
    )
    limits = zip(*(k.seen for k in same), strict=True)
    seen = tuple(None if None in each else max(n for n in each if n) for each in limits)
    return replace(same[0], places=middle, seen=seen)


def _strides(layout: TokenLayout) -> list[float]:
    return [stride for _, stride in layout.places]


def _kept(layout: TokenLayout, source: Tensor, output: Tensor) -> TokenLayout | None:
    """The layout of an output of the same cells, whose channels may be fewer or more."""
    if source.ndim != output.ndim:
        return None
    for dim, (a, b) in enumerate(zip(source.shape, output.shape, strict=True)):
        if a == b:
            continue
        # A size of one stands for channels only where the channels of a clip lie.
        if layout.roles(dim) != "c" and not (a == 1 and dim == 1 and output.ndim == 5):
            return None
        layout = layout.with_dim(dim, Part("c", (b,)))
    return layout


def _viewed(layout: TokenLayout, shape: Sequence[int]) -> TokenLayout | None:
    """The same entries in other dimensions; channels may be split into groups, cells may not."""
    left = [part for dim in layout.dims for part in dim]
    dims: list[tuple[Part, ...]] = []
    for size in shape:
        dim: list[Part] = []
        while size > 1:
            if not left:
                return None
            part = left.pop(0)
            if part.roles == "c" and size % part.size and part.size % size == 0:
                left.insert(0, Part("c", (part.size // size,)))
                part = Part("c", (size,))
            if size % part.size:
                return None
            size //= part.size
            if part.roles == "c" and dim and dim[-1].roles == "c":
                part = Part("c", (part.size * dim.pop().size,))
            dim.append(part)
        dims.append(tuple(dim))
    return None if left else replace(layout, dims=tuple(dims))


def _resized(
    layout: TokenLayout, dim: int, size: int, start: float, step: float = 1.0
) -> TokenLayout | None:
    """One dimension of cells has another size; its cell 0 was centred on cell `start` before."""
    role = layout.roles(dim)
    if not role and layout.plain and dim:
        role = "ncthw"[dim]  # one moment, one row or one column of a clip
    if len(role) != 1 or layout.extra(dim):
        return layout if size == 1 and not role else None
    places = list(layout.places)
    if role != "c":
        axis = CELLS.index(role)
        offset, stride = places[axis]
        places[axis] = (offset + stride * start, stride * step)
    return replace(layout.with_dim(dim, Part(role, (size,))), places=tuple(places))


def _slid(
    layout: TokenLayout,
    output: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> TokenLayout | None:
    """A sliding window: output 0 is centred (k-1)·d/2 - p input cells from input 0."""
    spatial = output.ndim - 2
    # A number stands for all axes, whatever the dimensions of a flat pool.
    k, s, p, d = (
        list(v) * (1 if len(v) > 1 else spatial) for v in (kernel, stride, padding, dilation)
    )
    if len(layout.dims) != output.ndim or "c" not in layout.roles(1) + "c" * (not layout.dims[1]):
        return None
    result: TokenLayout | None = layout.with_dim(1, Part("c", (output.shape[1],)))
    for axis in range(spatial):
        start = (k[axis] - 1) * d[axis] / 2 - p[axis]
        dim = axis + 2
        # How far the last window reaches: what lies beyond is never seen. Of pixels alone: further
        # up a cell has seen more than its own place.
        reach = (output.shape[dim] - 1) * s[axis] + (k[axis] - 1) * d[axis] - p[axis] + 1
        role = layout.roles(dim)
        if result and len(role) == 1 and role in CELLS and reach < layout.size(role):
            number = CELLS.index(role)
            if layout.places[number] == (0.0, 1.0):
                seen = (*result.seen[:number], reach, *result.seen[number + 1 :])
                result = replace(result, seen=seen)
        result = result and _resized(result, dim, output.shape[dim], start, s[axis])
    return result


def _picked(
    name: str, args: tuple[Any, ...], output: Tensor, known: dict[int, TokenLayout]
) -> TokenLayout | None:
    """The entries of a dimension in another order, or some of them, evenly spaced."""
    source = args[0]
    layout = known.get(id(source))
    if layout is None:
        return None
    if name == "flip":
        picks = {d % source.ndim: range(source.shape[d] - 1, -1, -1) for d in args[1]}
    elif name == "index_select":
        picks = {args[1] % source.ndim: args[2]}
    else:
        picks = {d: index for d, index in enumerate(args[1]) if index is not None}
    result: TokenLayout | None = layout
    for dim, index in picks.items():
        if isinstance(index, Tensor):
            if index.ndim != 1 or index.dtype in _MASKS:
                return None
            known_values = not index.is_meta
            index = index.tolist() if known_values else None
        if layout.roles(dim) == "c":
            result = result and result.with_dim(dim, Part("c", (output.shape[dim],)))
            continue
        if index is None or len(layout.roles(dim)) > 1 or layout.extra(dim):
            return None
        places = [float(i % source.shape[dim]) for i in index]
        # The nearest even spacing: frames picked by rounding lie up to half a frame beside it.
        step = (places[-1] - places[0]) / (len(places) - 1) if len(places) > 1 else 1.0
        even = all(abs(places[0] + step * i - place) < 1 for i, place in enumerate(places))
        if not even or not step:
            return None
        result = result and _resized(result, dim, len(places), places[0], step)
    return result


def _piece(
    name: str,
    args: tuple[Any, ...],
    source: Tensor,
    output: Tensor,
    layout: TokenLayout,
    which: int = 0,
) -> TokenLayout | None:
    """A part of a tensor along one dimension."""
    given: list[Any] = [*args[1:], *(None,) * 4]
    dim = given[1] if name.startswith("split") or name == "chunk" else given[0]
    dim = (dim or 0) % source.ndim
    if name in ("select", "unbind"):
        if layout.extra(dim) or len(layout.roles(dim)) > 1:
            return None
        at = which if name == "unbind" else given[1]
        one = _resized(layout, dim, 1, at % source.shape[dim])
        return one and replace(one, dims=one.dims[:dim] + one.dims[dim + 1 :])
    size = output.shape[dim]
    if size == source.shape[dim]:
        return layout
    if layout.roles(dim) == "c":
        return layout.with_dim(dim, Part("c", (size,)))
    start, step = given[1] or 0, given[3] or 1
    if name != "slice":
        sizes = [given[0]] * which if isinstance(given[0], int) else given[0][:which]
        start, step = sum(sizes), 1
        if name == "chunk":
            return None
    if start < 0:
        start += source.shape[dim]
    extra = layout.extra(dim)
    if extra:  # what comes after the class token are the cells
        parts = layout.dims[dim]
        if len(parts) > 1 or start != extra or step != 1 or size != source.shape[dim] - extra:
            return None
        cells = zip(parts[0].roles, parts[0].sizes, strict=True)
        return layout.with_dim(dim, *(Part(role, (n,)) for role, n in cells))
    return _resized(layout, dim, size, start, step)


def _stacked(
    args: tuple[Any, ...], inputs: list[Tensor], output: Tensor, known: dict[int, TokenLayout]
) -> TokenLayout | None:
    """Frames one after another in a dimension of their own, each at its own place."""
    dim = (args[1] if len(args) > 1 else 0) % output.ndim
    layouts = [known.get(id(t)) for t in inputs]
    opened = [one and replace(one, dims=(*one.dims[:dim], (), *one.dims[dim:])) for one in layouts]
    return _in_a_row(opened, dim, 1)


def _together(
    args: tuple[Any, ...], inputs: list[Tensor], output: Tensor, known: dict[int, TokenLayout]
) -> TokenLayout | None:
    """Frames one after another along a dimension in which each has one, or one part of them."""
    dim = (args[1] if len(args) > 1 else 0) % output.ndim
    sizes = {t.shape[dim] for t in inputs}
    if len(sizes) != 1 or len(inputs) < 2:
        return None
    return _in_a_row([known.get(id(t)) for t in inputs], dim, sizes.pop())


def _in_a_row(layouts: Sequence[TokenLayout | None], dim: int, size: int) -> TokenLayout | None:
    """Layouts that differ in where one axis begins, as one whose places follow each other."""
    known = [one for one in layouts if one is not None]
    first = known[0] if known else None
    if first is None or len(known) < len(layouts) or any(k.dims != first.dims for k in known):
        return None
    differ = [a for a in range(3) if len({k.places[a] for k in known}) > 1]
    if len(differ) != 1 or first.roles(dim) not in ("", CELLS[differ[0]]):
        return None
    axis = differ[0]
    if first.size(CELLS[axis]) != size:
        return None
    at = [
        offset + stride * i
        for k in known
        for offset, stride in (k.places[axis],)
        for i in range(size)
    ]
    step = (at[-1] - at[0]) / (len(at) - 1)
    if not step or any(abs(at[0] + step * i - place) > 1e-6 for i, place in enumerate(at)):
        return None
    places = list(first.places)
    places[axis] = (at[0], step)
    return replace(first.with_dim(dim, Part(CELLS[axis], (len(at),))), places=tuple(places))


def _joined(
    args: tuple[Any, ...], inputs: list[Tensor], output: Tensor, known: dict[int, TokenLayout]
) -> TokenLayout | None:
    """Pieces put one after another along a dimension."""
    dim = (args[1] if len(args) > 1 else 0) % output.ndim
    # The longest piece that is known says where the others lie.
    here = [t for t in inputs if id(t) in known]
    longest = max(here, key=lambda t: t.shape[dim])
    start = sum(t.shape[dim] for t in inputs[: [id(t) for t in inputs].index(id(longest))])
    layout, size = known[id(longest)], output.shape[dim]
    role = layout.roles(dim)
    if role == "c" or (not role and dim == 1 and layout.plain):
        return layout.with_dim(dim, Part("c", (size,)))
    whole = start + longest.shape[dim] == size
    tokens = len(role) > 1 or (len(role) == 1 and output.ndim == 3)
    if tokens and whole and len(here) == 1 and set(role) <= set(CELLS) and not layout.extra(dim):
        # What was put before the cells is none of them: a class token.
        sizes = tuple(n for part in layout.dims[dim] for n in part.sizes)
        return layout.with_dim(dim, Part(role, sizes, extra=start))
    return _resized(layout, dim, size, -start)  # padding
