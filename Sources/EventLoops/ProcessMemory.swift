import CLinux

/// How the process's memory goes back to the system. Without this the C library keeps what a burst of large bodies took.
public enum ProcessMemory {
    /// Large pieces are mapped by themselves, so that they go back when they are freed. Before there are threads.
    ///
    /// Left alone, the C library moves this size up to 32 MiB with the first large piece that is freed.
    public static func setUp() {
        mallopt(M_MMAP_THRESHOLD, 256 << 10)
        mallopt(M_TRIM_THRESHOLD, 1 << 20)
    }

    /// Gives back whatever is free between what is in use. It may take milliseconds: not on a loop.
    public static func trim() { malloc_trim(0) }
}
