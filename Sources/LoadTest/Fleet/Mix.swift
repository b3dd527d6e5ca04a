/// What a request of the mixed workload is.
enum RequestKind: String, CaseIterable {
    case check
    case job
    case reservation
    /// The end of a reservation: its confirm or its cancel. It follows one, and is no share of the mix.
    case settlement
}

/// How many of a hundred requests are what.
struct Mix: Equatable {
    var checks = 80
    var jobs = 15
    var reservations = 5

    init() {}

    /// Reads `80/15/5`; nil unless the three add up to a hundred.
    init?(_ text: String) {
        let shares = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard shares.count == 3, shares.allSatisfy({ $0 >= 0 }), shares.reduce(0, +) == 100 else { return nil }
        (checks, jobs, reservations) = (shares[0], shares[1], shares[2])
    }

    var text: String { "\(checks)/\(jobs)/\(reservations)" }

    func kind(_ random: inout SplitMix64) -> RequestKind {
        let number = random.index(below: 100)
        return number < checks ? .check : number < checks + jobs ? .job : .reservation
    }
}
