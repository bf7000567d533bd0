"""Where in the template what the translator made comes from: it names what it makes after what it makes it of."""

from __future__ import annotations

from torpor.cli.sam.template import Place, Template

_SPELT = {"TracingConfig": "Tracing", "Content": "ContentUri", "Code": "CodeUri", "Body": "DefinitionBody"}


class Places:
    """Places of one template."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._names = sorted(template.section("Resources"), key=len, reverse=True)

    def of(self, resource: str) -> Place:
        """A resource's place, or that of the one it was made of."""
        found = next((name for name in self._names if resource.startswith(name)), None)
        return ("Resources", found) if found else ("Resources",)

    def property(self, resource: str, key: str) -> Place:
        """A property's place: at the resource, in Globals, or else the resource's own."""
        base = self.of(resource)
        for name in (key, _SPELT.get(key, key)):
            for place in ((*base, "Properties", name), *(("Globals", kind, name) for kind in _GLOBALS)):
                if place in self._template.lines:
                    return place
        return base

    def written(self, place: Place) -> Place:
        """A place in what was translated, as one in the template."""
        if place[:1] != ("Resources",) or len(place) < 2 or place in self._template.lines:
            return place
        return (*self.of(str(place[1])), *place[2:])


_GLOBALS = ("Function", "Api", "HttpApi", "LayerVersion")
