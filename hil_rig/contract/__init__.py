"""The contract of the upstream, made from the types that station speaks with: schemas, samples, rights, pages."""
