"""Starting, reloading and stopping the processes of the proxy."""
