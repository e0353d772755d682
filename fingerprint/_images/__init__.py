"""From files, folders, arrays and streams to stacks of grey pixels.

    sources ──▶ entries: files, arrays, iterators      what a collection consists of; `arrays`: what programs hold;
                                                       `stores`: what a URL names
    blocks  ──▶ tasks: parts of them, to be read later, by any thread, process or machine
    formats ──▶ decoded: numbers of a file             `pictures`, `dicom`, `stacks`, `archives`: one function a format
    grey    ──▶ exact 8-bit or 16-bit pixels
    loading ──▶ `Slices`                               what users and all other folders call

A file format is added by a row of `formats.FORMATS`. `files` opens files within bounds and says why one cannot be used.
"""
