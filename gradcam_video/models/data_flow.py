"""What depends on what in a trial forward, and which points every path from clip to logits passes.

Grad-CAM reads one point of a network. Evidence that goes round this point, along a shortcut or
through a second stream, is missing from the map without a trace. So the point has to be one that
every path passes: a *dominator* of the logits (Lengauer & Tarjan 1979, doi:10.1145/357062.357071).
The graph of a forward has no cycle and its nodes are numbered as they ran, so the dominators are
found in one pass: a node is one when no edge leads from before it to after it.

An operation in place changes a tensor, and all views of the same memory with it: what is read
later depends on what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

# What these give depends on shapes alone.
_CONSTANT = ("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like")
_CONSTANT += ("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided", "sym_size")


class DataFlow:
    """The values of one forward, as nodes in the order in which they came to be. Node 0 is x."""

    def __init__(self, x: Tensor) -> None:
        self.sources: list[tuple[int, ...]] = [()]
        self._of: dict[int, tuple[int | None, int]] = {id(x): (0, 0)}  # tensor -> node, writes seen
        self._writes: dict[int, list[int]] = {}  # memory -> the nodes that were written into it

    def node(self, tensor: Tensor) -> int | None:
        """The node of a tensor as it is now; None: it does not depend on the clip."""
        known, seen = self._of.get(id(tensor), (None, 0))
        writes = self._writes.get(_memory(tensor), [])
        if len(writes) > seen:
            before = [] if known is None else [known]
            known = self._new([*before, *writes[seen:]])
            self._of[id(tensor)] = (known, len(writes))
        return known

    def ran(self, name: str, inputs: Iterable[Tensor], outputs: Sequence[Tensor]) -> None:
        """Note an operation; an output that is one of the inputs was written in place."""
        inputs = list(inputs)
        nodes = {n for t in inputs if (n := self.node(t)) is not None}
        if not nodes or name in _CONSTANT:
            return
        for output in outputs:
            new = self._new(sorted(nodes))
            memory = _memory(output)
            if any(output is t for t in inputs):
                self._writes.setdefault(memory, []).append(new)
            self._of[id(output)] = (new, len(self._writes.get(memory, [])))

    def _new(self, sources: Sequence[int]) -> int:
        self.sources.append(tuple(sources))
        return len(self.sources) - 1

    def on_the_way(self, end: int) -> list[int]:
        """The nodes that lie on some way from the clip to a node, both ends among them."""
        on_it, waiting = {end}, [end]
        while waiting:
            for source in self.sources[waiting.pop()]:
                if source not in on_it:
                    on_it.add(source)
                    waiting.append(source)
        return sorted(on_it)

    def dominators(self, end: int) -> list[int]:
        """The nodes that every way from the clip to a node passes, both ends among them."""
        nodes, passed, furthest = self.on_the_way(end), [], -1
        # An edge from before a node to after it goes round it.
        users = self.users(nodes)
        for node in nodes:
            if furthest <= node:
                passed.append(node)
            furthest = max([furthest, *users[node]])
        return passed

    def users(self, nodes: Sequence[int]) -> dict[int, list[int]]:
        """Which of these nodes are made from which."""
        users: dict[int, list[int]] = {node: [] for node in nodes}
        for node in nodes:
            for source in self.sources[node]:
                users[source].append(node)
        return users

    def cut_by(self, some: Iterable[int], end: int) -> bool:
        """Whether every way from the clip to a node passes one of some nodes."""
        closed = set(some)
        waiting, seen = [end], {end}
        while waiting:
            node = waiting.pop()
            if node in closed:
                continue
            if node == 0:
                return False
            for source in self.sources[node]:
                if source not in seen:
                    seen.add(source)
                    waiting.append(source)
        return True

    def branches(self, node: int, end: int) -> list[list[int]]:
        """The ways that run beside each other past a node, each as the nodes on it.

        They part at the last dominator before the node and meet at the first one after it. Empty
        for a node that is a dominator itself.
        """
        passed = self.dominators(end)
        if node in passed:
            return []
        part = max(n for n in passed if n < node)
        meet = min(n for n in passed if n > node)
        found = []
        for last in self.sources[meet]:
            way, waiting = {last}, [last]
            while waiting:
                for source in self.sources[waiting.pop()]:
                    if source > part and source not in way:
                        way.add(source)
                        waiting.append(source)
            found.append(sorted(n for n in way if n > part))
        return found


def _memory(tensor: Tensor) -> int:
    """Which memory a tensor lies in: views share it. Works without values, too."""
    return tensor.untyped_storage()._cdata
