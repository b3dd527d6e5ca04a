import EventLoops
import Glibc

/// The threads that send mail. libcurl waits inside its SMTP code, for the reply to the end of a message and to QUIT, so no
/// loop can do it. A thread keeps its connection for the next message, and ends when there has been none for a while.
final class MailThreads: @unchecked Sendable {
    // Unchecked because the queue and the counts are only touched under the mutex that guards the condition.
    static let shared = MailThreads(maxThreads: 8)

    private static let idleS = 20

    private let maxThreads: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [MailCall] = []
    private var threads = 0
    private var idle = 0

    init(maxThreads: Int) {
        self.maxThreads = maxThreads
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    /// Has a message sent; the call is told how it ended.
    func submit(_ call: MailCall) {
        pthread_mutex_lock(mutex)
        queue.append(call)
        let startsThread = idle < queue.count && threads < maxThreads
        if startsThread { threads += 1 }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        if startsThread { Threads.start("qm-mail") { [self] in serve() } }
    }

    private func serve() {
        let connection = MailConnection()
        while let call = next() { connection.send(call) }
    }

    /// The next call that somebody waits for; nil when the thread is to end.
    private func next() -> MailCall? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var until = timespec()
        clock_gettime(CLOCK_REALTIME, &until)
        until.tv_sec += MailThreads.idleS
        idle += 1
        defer { idle -= 1 }
        while true {
            while let call = queue.first {
                queue.removeFirst()
                if !call.isOver { return call }
            }
            if pthread_cond_timedwait(condition, mutex, &until) == ETIMEDOUT, queue.isEmpty {
                threads -= 1
                return nil
            }
        }
    }
}
