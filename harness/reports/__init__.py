"""Reports: what people and machines read of the judged runs, one file each."""
