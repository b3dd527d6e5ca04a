/// The calls that wait for replies on one connection, oldest first: a ring that grows to a stated bound.
struct PendingCalls {
    struct Entry {
        /// nil once the call has been given up: its reply, if it comes, is swallowed.
        var call: (any RedisCall)?
        var deadlineUs: Int64
        /// What the loop had lost (`EventLoop.lostUs`) when the call was sent: what it loses later moves the deadline.
        var lostUs: Int64 = 0
        /// Whether the call was sent with the script's text, so that NOSCRIPT cannot be the answer to it.
        var sentText = false
        /// How often the call was sent elsewhere before.
        var redirections: UInt8 = 0
        /// Whether it waited before it was sent here.
        var hasPaused = false
        /// Whether the call stands behind an ASKING.
        var isAsking = false
    }

    private var entries: [Entry?] = Array(repeating: nil, count: 64)
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ entry: Entry) {
        if count == entries.count { grow() }
        entries[(head + count) & (entries.count - 1)] = entry
        count += 1
    }

    mutating func removeFirst() -> Entry? {
        guard count > 0 else { return nil }
        let entry = entries[head]
        entries[head] = nil
        head = (head + 1) & (entries.count - 1)
        count -= 1
        return entry
    }

    /// Takes back the newest entry, whose command could not be handed over.
    mutating func removeLast() -> Entry? {
        guard count > 0 else { return nil }
        count -= 1
        let at = (head + count) & (entries.count - 1)
        defer { entries[at] = nil }
        return entries[at]
    }

    /// Gives up calls whose deadline has passed.
    /// - Parameter lostUs: what the loop has lost so far.
    /// - Returns: the calls, oldest first, and the earliest deadline that is left.
    mutating func expire(nowUs: Int64, lostUs: Int64 = 0) -> (expired: [any RedisCall], nextDeadlineUs: Int64?) {
        var expired: [any RedisCall] = []
        var next: Int64?
        for i in 0..<count {
            let at = (head + i) & (entries.count - 1)
            guard let call = entries[at]!.call else { continue }
            let deadlineUs = entries[at]!.deadlineUs
            let movedUs = lostUs - entries[at]!.lostUs
            if deadlineUs <= nowUs - movedUs {
                entries[at]!.call = nil
                expired.append(call)
            } else {
                next = min(next ?? .max, deadlineUs == .max ? .max : deadlineUs + movedUs)
            }
        }
        return (expired, next)
    }

    private mutating func grow() {
        var larger: [Entry?] = []
        larger.reserveCapacity(entries.count * 2)
        for i in 0..<count { larger.append(entries[(head + i) & (entries.count - 1)]) }
        larger += Array(repeating: nil, count: entries.count * 2 - count)
        entries = larger
        head = 0
    }
}
