import Telemetry

/// Why a request has no answer that says how it went.
enum ErrorKind: String, CaseIterable {
    case connectionLost = "lost"
    /// No answer in time; the connection is given up.
    case timeout
    /// 502 or 504: the load balancer has lost the replica, and does not know either.
    case gateway
    /// 503.
    case unavailable = "503"
    /// 409 because the same key is still being worked on.
    case busy
    /// Any other 5xx: a fault of the server.
    case server = "5xx"
    /// A status that should not be answered here.
    case unexpected
}

/// How the requests of one kind went. Refusals are answers: 429 of a limit, 409 of stock that is not there.
final class KindResult {
    let kind: RequestKind
    /// Requests, however often each was tried.
    var sent = 0
    var ok = 0
    var refused = 0
    var retries = 0
    /// Requests whose outcome never became known.
    var unknown = 0
    var errors: [ErrorKind: Int] = [:]
    /// From the intended moment to the answer that settled it, µs.
    let latency = Histogram()

    init(_ kind: RequestKind) { self.kind = kind }
}

/// The run by seconds, for the picture.
final class SecondsLog {
    struct Second: Equatable {
        var answers = 0
        var p50Us: Int64 = 0
        var p99Us: Int64 = 0
        var maxUs: Int64 = 0
        var errors = 0
    }

    private(set) var seconds: [Second] = []
    private let current = Histogram()
    private var errors = 0

    /// - Parameter second: since the start; it never goes back by more than what has not been closed.
    func answered(second: Int, us: Int64) {
        close(before: second)
        current.record(us)
    }

    func failed(second: Int) {
        close(before: second)
        errors += 1
    }

    /// Ends all seconds before this one.
    func close(before second: Int) {
        while seconds.count < second {
            seconds.append(
                Second(
                    answers: current.count, p50Us: current.percentile(50), p99Us: current.percentile(99),
                    maxUs: current.max, errors: errors))
            current.reset()
            errors = 0
        }
    }
}

/// What a fault of the timetable did to the service.
struct FaultOutcome: Equatable {
    var entry: Timetable.Entry
    /// From the start of the measurement; the end is that of the command that made the fault.
    var beganUs: Int64
    var endedUs: Int64?
    var failure: String?
    /// By kind: from the end of the command to the first success of a request that was sent after it.
    var resumedAfterUs: [RequestKind: Int64] = [:]
    /// By kind: the longest time without a success from the fault to the next one, or to the end.
    var longestGapUs: [RequestKind: Int64] = [:]

    init(_ entry: Timetable.Entry, beganUs: Int64) {
        self.entry = entry
        self.beganUs = beganUs
    }
}

/// Follows successes, to say how long there were none after each fault.
struct FaultLog {
    private(set) var faults: [FaultOutcome] = []
    private var lastSuccessUs: [RequestKind: Int64] = [:]

    mutating func began(_ entry: Timetable.Entry, atUs: Int64) -> Int {
        close(atUs)
        faults.append(FaultOutcome(entry, beganUs: atUs))
        return faults.count - 1
    }

    mutating func ended(_ number: Int, atUs: Int64, failure: String?) {
        faults[number].endedUs = atUs
        faults[number].failure = failure
    }

    /// - Parameters:
    ///   - sentUs: when the try that succeeded was sent.
    ///   - atUs: when its answer came.
    mutating func succeeded(_ kind: RequestKind, sentUs: Int64, atUs: Int64) {
        for number in faults.indices where faults[number].resumedAfterUs[kind] == nil {
            guard let endedUs = faults[number].endedUs, sentUs >= endedUs else { continue }
            faults[number].resumedAfterUs[kind] = atUs - endedUs
        }
        note(kind, atUs)
        lastSuccessUs[kind] = atUs
    }

    /// Nothing more comes: a gap that is still open counts as far as it has come.
    mutating func close(_ atUs: Int64) {
        for kind in lastSuccessUs.keys { note(kind, atUs) }
    }

    /// Of the fault that was last.
    private mutating func note(_ kind: RequestKind, _ atUs: Int64) {
        guard let last = faults.indices.last else { return }
        let sinceUs = max(faults[last].beganUs, lastSuccessUs[kind] ?? 0)
        faults[last].longestGapUs[kind] = max(faults[last].longestGapUs[kind] ?? 0, atUs - sinceUs)
    }
}
