import CLinux
import Glibc

/// Signals of the process, heard on one loop instead of in a handler.
public enum Signals {
    /// Blocks `signals` for the calling thread and all it starts later; call it first thing in `main`, so that no
    /// thread is left that would die of one. SIGPIPE is ignored: a peer that left is an error of `write`.
    public static func block(_ signals: [Int32]) {
        signal(SIGPIPE, SIG_IGN)
        var set = signalSet(signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Calls `body` on `loop` with each signal that arrives. They must be blocked already.
    public static func watch(_ signals: [Int32], on loop: EventLoop, _ body: @escaping (Int32) -> Void) -> Watcher {
        var set = signalSet(signals)
        let descriptor = signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
        let watcher = Watcher(loop: loop, descriptor: descriptor) { _ in
            var info = signalfd_siginfo()
            while read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 { body(Int32(info.ssi_signo)) }
        }
        watcher.start()
        return watcher
    }

    private static func signalSet(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }
}
