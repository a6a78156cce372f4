"""The notes as a document: builders that read the recorded derivation, one file a topic."""
