"""What every other package uses: files, runs, devices, progress, processes, pages."""
