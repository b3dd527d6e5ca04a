import CLinux
import Glibc

/// Work sent to a loop from other threads: a locked list and one eventfd that wakes the loop once per batch.
final class Mailbox: @unchecked Sendable {
    // Unchecked because the list is only touched under the lock.
    let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    private let lock = Lock()
    private var waiting: [@Sendable () -> Void] = []

    deinit { close(descriptor) }

    func put(_ work: @escaping @Sendable () -> Void) {
        let wasEmpty = lock.withLock {
            waiting.append(work)
            return waiting.count == 1
        }
        guard wasEmpty else { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    func takeAll() -> [@Sendable () -> Void] {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        return lock.withLock {
            let taken = waiting
            waiting = []
            return taken
        }
    }
}

/// A mutex at a stable address. For the few things that threads share; nothing on a request's way takes one.
public final class Lock: @unchecked Sendable {
    // Unchecked because a pthread mutex is made to be shared.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    public init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    public func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
