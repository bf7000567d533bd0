"""The use cases of functions, one file each: free of HTTP, of AWS's JSON, and of what runs underneath."""
