import EventLoops

/// Calls that nobody can serve at the moment, until it is worth trying again or their time is over.
final class WaitingCalls {
    struct Entry {
        let call: any RedisCall
        let deadlineUs: Int64
        let redirections: UInt8
        let error: RedisError
        let dueUs: Int64
    }

    private let loop: EventLoop
    private let most: Int
    private var entries: [Entry] = []
    private var timer: LoopTimer?
    private let again: (Entry) -> Void

    private static let shortestPauseUs: Int64 = 5000
    private static let checkUs: Int64 = 5000

    /// - Parameter again: sends a call once more.
    init(loop: EventLoop, most: Int, again: @escaping (Entry) -> Void) {
        self.loop = loop
        self.most = most
        self.again = again
    }

    /// - Parameter error: what the call ends with if its time is over first.
    func add(_ call: any RedisCall, deadlineUs: Int64, redirections: UInt8, error: RedisError) {
        guard entries.count < most else { return call.completed(.failure(.overloaded)) }
        let pauseUs = WaitingCalls.shortestPauseUs << Int64(min(redirections, 4))
        let dueUs = min(MonotonicClock.nowUs() + pauseUs, deadlineUs)
        entries.append(
            Entry(call: call, deadlineUs: deadlineUs, redirections: redirections, error: error, dueUs: dueUs))
        schedule()
    }

    private func schedule() {
        if timer == nil { timer = LoopTimer(loop: loop) { [unowned self] in look() } }
        if entries.count == 1 { timer?.start(afterUs: WaitingCalls.checkUs) }
    }

    private func look() {
        let nowUs = MonotonicClock.nowUs()
        let due = entries.filter { $0.dueUs <= nowUs }
        entries.removeAll { $0.dueUs <= nowUs }
        if !entries.isEmpty { timer?.start(afterUs: WaitingCalls.checkUs) }
        for entry in due {
            if entry.dueUs >= entry.deadlineUs {
                entry.call.completed(.failure(entry.error))
            } else {
                again(entry)
            }
        }
    }

    /// Gives all of them up.
    func close() {
        let given = entries
        entries = []
        timer = nil
        for entry in given { entry.call.completed(.failure(.unavailable)) }
    }
}
