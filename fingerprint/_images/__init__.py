"""From files, folders, arrays and streams to stacks of grey pixels."""
