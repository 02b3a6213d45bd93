"""The STAC API: routes, documents and pages over a catalog store."""
