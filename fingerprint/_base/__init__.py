"""What every folder may use: checks of arguments, array types, names, threads, output, counts on a log scale."""
