"""What one frame tells: points, normals, colours and label votes at a working resolution."""
