"""Labels of axes: which axes of a network's values are the same, and what they are made of.

Two axes with one label have the same positions: whatever is cut from one is cut from the other. A label is either an
*atom*, or made of others: a *product*, an axis that a reshape merged from several (heads times width of a head), or a
*sum*, an axis that a concatenation joined. So a reshape that splits an axis says what its label is made of, wherever
the axis occurs; two statements about one label are brought to a common refinement. Where there is none, and where
something depends on positions themselves, a label is *pinned*: nothing may be cut from it, nor from its parts.
"""

from typing import Literal

Kind = Literal["product", "sum"]


class Labels:
    """A growing set of labels, numbered from 0; statements about them only ever make them coarser or finer."""

    def __init__(self):
        self._parent: list[int] = []
        self._sizes: list[int] = []
        self._made: list[tuple[Kind, tuple[int, ...]] | None] = []
        self._pinned: list[bool] = []

    def new(self, size: int, pinned: bool = False) -> int:
        """Returns a new atom for an axis of that length; one of length one is pinned, as something must be left."""
        self._parent.append(len(self._parent))
        self._sizes.append(size)
        self._made.append(None)
        self._pinned.append(pinned or size <= 1)
        return len(self._parent) - 1

    def find(self, label: int) -> int:
        """Returns the label that stands for all that are the same."""
        while self._parent[label] != label:
            self._parent[label] = label = self._parent[self._parent[label]]
        return label

    def size(self, label: int) -> int:
        """Returns the length of the axes with this label."""
        return self._sizes[label]

    def made(self, label: int) -> tuple[Kind, tuple[int, ...]] | None:
        """Returns what a label is made of, None for an atom."""
        return self._made[self.find(label)]

    def pinned(self, label: int) -> bool:
        """Says whether nothing may be cut from a label."""
        return self._pinned[self.find(label)]

    def atoms(self, label: int) -> list[int]:
        """Lists the atoms that a label is made of, each once."""
        label = self.find(label)
        made = self._made[label]
        return [label] if made is None else list(dict.fromkeys(a for part in made[1] for a in self.atoms(part)))

    def pin(self, *labels: int) -> None:
        """Says that nothing may be cut from labels."""
        for label in map(self.find, labels):
            if not self._pinned[label]:
                self._pinned[label] = True
                made = self._made[label]
                self.pin(*(made[1] if made else ()))

    def unite(self, a: int, b: int) -> None:
        """Says that two labels are the same; where their lengths differ they cannot be, and both are pinned."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        if self._sizes[a] != self._sizes[b]:
            self.pin(a, b)
            return
        if self._made[b] is None:
            a, b = b, a
        made, self._parent[a] = self._made[a], b
        if self._pinned[a] or self._pinned[b]:
            # Those of `a` have to be pinned as well, and `b` may have been without a word about its parts.
            self._pinned[b] = False
            self.pin(b, *(made[1] if made else ()))
        if made is not None:
            self.make(b, *made)

    def make(self, label: int, kind: Kind, parts: tuple[int, ...] | list[int]) -> None:
        """Says what a label is made of.

        Args:
          label: the label.
          kind: "product", the first part varies slowest, or "sum", one part after the other.
          parts: labels whose lengths multiply or add up to its length.
        """
        label = self.find(label)
        neutral = 1 if kind == "product" else 0
        kept = tuple(part for part in parts if self._sizes[part] != neutral)
        if len(kept) == 1:
            self.unite(label, kept[0])
        elif kept:
            made = self._made[label]
            if made is None:
                self._made[label] = (kind, kept)
                if self._pinned[label]:
                    self.pin(*kept)
            elif made[0] == kind:
                self._align(kind, list(made[1]), list(kept))
            else:
                product, total = (made[1], kept) if kind == "sum" else (kept, made[1])
                self._made[label] = ("product", product)
                self._distribute(product, total)

    def _align(self, kind: Kind, mine: list[int], theirs: list[int]) -> None:
        """Brings two lists of parts of one label to a common refinement."""
        while mine and theirs:
            a, b = mine.pop(0), theirs.pop(0)
            if self._sizes[a] < self._sizes[b]:
                a, b, mine, theirs = b, a, theirs, mine
            if self._sizes[a] == self._sizes[b]:
                self.unite(a, b)
                continue
            if kind == "product" and self._sizes[a] % self._sizes[b]:
                self.pin(a, b, *mine, *theirs)
                return
            length = self._sizes[a] // self._sizes[b] if kind == "product" else self._sizes[a] - self._sizes[b]
            rest = self.new(length)
            # A part of length one in a product is no axis of its own, and is dropped; in a sum it is one.
            self.make(a, kind, (b, rest))
            mine.insert(0, rest)

    def _distribute(self, product: tuple[int, ...], total: tuple[int, ...]) -> None:
        """Brings a product and a sum of one label together: a sum over the slowest factor, where its parts allow it."""
        first, *others = product
        inner = 1
        for part in others:
            inner *= self._sizes[part]
        if any(self._sizes[part] % inner for part in total):
            self.pin(*product, *total)
            return
        slices = [self.new(self._sizes[part] // inner) for part in total]
        self.make(first, "sum", slices)
        for part, one in zip(total, slices, strict=True):
            self.make(part, "product", (one, *others))
