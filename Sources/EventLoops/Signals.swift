import Glibc

/// Signals of the process, waited for by one thread instead of heard in a handler.
public enum Signals {
    /// Blocks `signals` for the calling thread and all it starts later; call it first thing in `main`, so that no
    /// thread is left that would die of one. SIGPIPE is ignored: a peer that left is an error of `write`.
    public static func block(_ signals: [Int32]) {
        signal(SIGPIPE, SIG_IGN)
        var set = signalSet(signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Blocks the calling thread, which is no loop's, until one of `signals` arrives. They must be blocked already.
    public static func wait(for signals: [Int32]) -> Int32 {
        var set = signalSet(signals)
        var signal: Int32 = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }

    private static func signalSet(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }
}
