"""The contract of the upstream, made from the types that station encodes and decodes: schemas, samples, rights, pages."""
