"""Read data sets of ECGs: cut beats, whole ECGs in an .npz, folders of files."""
