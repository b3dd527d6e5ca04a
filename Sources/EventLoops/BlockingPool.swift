import Glibc

/// A few threads for calls that block (name resolution, files, waiting for a child process), so that no loop ever does.
public final class BlockingPool: @unchecked Sendable {
    // Unchecked because the queue is only touched under the mutex that guards its condition.
    public static let shared = BlockingPool(maxThreads: 4)
    /// For long computing (parsing large bodies), so that what waits for a name or a file isn't kept waiting by it.
    public static let computing = BlockingPool(maxThreads: 2)

    private let maxThreads: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var threads = 0
    private var idle = 0

    init(maxThreads: Int) {
        self.maxThreads = maxThreads
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    /// Runs `work` on a pool thread and resumes the caller where it was.
    public func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
        await withUnsafeContinuation { continuation in
            submit { continuation.resume(returning: work()) }
        }
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        queue.append(work)
        let startsThread = idle < queue.count && threads < maxThreads
        if startsThread { threads += 1 }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        if startsThread { Threads.start("qm-blocking") { [self] in serve() } }
    }

    private func serve() {
        while true {
            pthread_mutex_lock(mutex)
            idle += 1
            while queue.isEmpty { pthread_cond_wait(condition, mutex) }
            idle -= 1
            let work = queue.removeFirst()
            pthread_mutex_unlock(mutex)
            work()
        }
    }
}
