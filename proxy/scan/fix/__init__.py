"""Changes old calls in files to new ones, where that is safe."""
