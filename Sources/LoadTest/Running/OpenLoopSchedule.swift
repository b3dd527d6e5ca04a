/// When the requests of a fixed rate are meant to be sent: evenly spaced from the start, whatever the server does.
/// A request that could not be sent in time keeps its intended moment, and its latency is counted from there, so that a
/// server which stalls is not spared the requests that would have come meanwhile.
struct OpenLoopSchedule {
    let startUs: Int64
    /// Requests per second.
    let rate: Int
    /// How many requests the schedule has.
    let count: Int
    private var taken = 0

    init(startUs: Int64, rate: Int, durationUs: Int64, maxRequests: Int = .max) {
        self.startUs = startUs
        self.rate = rate
        count = min(Int(durationUs) * rate / 1_000_000, maxRequests)
    }

    /// The moment of the next request, nil after the last.
    var nextUs: Int64? { taken < count ? moment(taken) : nil }

    /// Takes the next request if its moment has come.
    mutating func takeDue(nowUs: Int64) -> Int64? {
        guard let next = nextUs, next <= nowUs else { return nil }
        taken += 1
        return next
    }

    /// Moments are computed from the number of the request, so that no error adds up.
    private func moment(_ number: Int) -> Int64 { startUs + Int64(number) * 1_000_000 / Int64(rate) }
}
