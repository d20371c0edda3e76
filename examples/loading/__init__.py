"""What the examples' load generators share: their command line's conventions, and how requests are written down."""
