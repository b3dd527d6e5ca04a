/// Places held until they are given back or their time is over.
struct LeaseModel: StrategyModel {
    private struct Place {
        let lease: String
        var endUs: Int
    }

    private var places: [Place] = []
    private var nowUs = 0
    private var limit = 0
    private var leaseUs = 0

    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look {
        guard case .concurrency(let limit, let leaseUs) = rule else { fatalError() }
        self.nowUs = nowUs
        self.limit = limit
        self.leaseUs = leaseUs
        places.removeAll { $0.endUs <= nowUs }
        let latest = places.map(\.endUs).max() ?? 0
        guard latest - leaseUs > nowUs + Self.toleranceUs else { return Look() }
        for i in places.indices { places[i].endUs = min(places[i].endUs, nowUs + leaseUs) }
        return Look(clockReset: true, mustBeKept: true)
    }

    func verdict(cost: Int) -> Verdict {
        if cost > limit { return .exceeds }
        let tooMany = places.count + cost - limit
        return tooMany <= 0 ? .allowed : .refused(retryUs: places.map(\.endUs).sorted()[tooMany - 1] - nowUs)
    }

    mutating func consume(cost: Int, lease: String) {
        places += (0..<cost).map { _ in Place(lease: lease, endUs: nowUs + leaseUs) }
    }

    var remaining: Int { max(0, limit - places.count) }
    var resetUs: Int { places.map { $0.endUs - nowUs }.max() ?? 0 }
    var lifeMs: Int { resetUs.dividedUp(by: 1000) }

    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String { "unsupported" }

    /// Keeps a lease for another term; false when it is gone.
    mutating func renew(_ lease: String, nowUs: Int, termUs: Int) -> Bool {
        guard places.contains(where: { $0.lease == lease && $0.endUs > nowUs }) else { return false }
        for i in places.indices where places[i].lease == lease { places[i].endUs = nowUs + termUs }
        return true
    }

    /// Ends a lease; false when it is gone.
    mutating func release(_ lease: String, nowUs: Int) -> Bool {
        let wasHeld = places.contains { $0.lease == lease && $0.endUs > nowUs }
        places.removeAll { $0.lease == lease }
        return wasHeld
    }

    var leases: [String] { Array(Set(places.map(\.lease))).sorted() }
}
