/// Stops asking Redis when it does not answer: after a few failures in a row every check is decided by its rule's failure
/// mode at once, and one call at a time tries whether Redis is back.
///
/// A pure state machine: it is told the time (monotonic µs) and performs nothing.
struct Breaker: Equatable {
    enum State: Equatable {
        case closed(failures: Int)
        case open(untilUs: Int64)
        /// One call is on its way to find out.
        case probing
    }

    private(set) var state = State.closed(failures: 0)

    static let failuresToOpen = 3
    static let openUs: Int64 = 100_000

    /// Whether a call may be made now. Saying yes in the open state makes that call the probe.
    mutating func mayCall(nowUs: Int64) -> Bool {
        switch state {
        case .closed: return true
        case .probing: return false
        case .open(let untilUs):
            if nowUs < untilUs { return false }
            state = .probing
            return true
        }
    }

    mutating func succeeded() { state = .closed(failures: 0) }

    mutating func failed(nowUs: Int64) {
        switch state {
        case .closed(let failures) where failures + 1 < Breaker.failuresToOpen: state = .closed(failures: failures + 1)
        case .closed, .probing: state = .open(untilUs: nowUs + Breaker.openUs)
        case .open: break
        }
    }
}

/// A breaker for each node of a cluster, so that one that is dead decides nothing about the others; with one Redis it is
/// node 0.
struct NodeBreakers {
    private var first = Breaker()
    private var others: [Breaker] = []

    mutating func mayCall(_ node: Int, nowUs: Int64) -> Bool {
        if node == 0 { return first.mayCall(nowUs: nowUs) }
        return others[place(node)].mayCall(nowUs: nowUs)
    }

    mutating func succeeded(_ node: Int) {
        if node == 0 { return first.succeeded() }
        others[place(node)].succeeded()
    }

    mutating func failed(_ node: Int, nowUs: Int64) {
        if node == 0 { return first.failed(nowUs: nowUs) }
        others[place(node)].failed(nowUs: nowUs)
    }

    private mutating func place(_ node: Int) -> Int {
        while others.count < node { others.append(Breaker()) }
        return node - 1
    }
}
