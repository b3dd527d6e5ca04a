/// Every unit admitted is remembered, and counts for a window.
struct SlidingLogModel: StrategyModel {
    /// When each unit was admitted, ascending.
    private var admissions: [Int] = []
    private var nowUs = 0
    private var atUs = 0
    private var limit = 0
    private var windowUs = 0

    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look {
        guard case .slidingWindow(let limit, let windowUs) = rule else { fatalError() }
        self.nowUs = nowUs
        self.limit = limit
        self.windowUs = windowUs
        var look = Look()
        atUs = nowUs
        if let newest = admissions.last, newest > nowUs {
            if newest > nowUs + Self.toleranceUs {
                admissions = admissions.map { min($0, nowUs) }
                look = Look(clockReset: true, mustBeKept: true)
            } else {
                atUs = newest
            }
        }
        admissions.removeAll { $0 + windowUs <= atUs }
        return look
    }

    func verdict(cost: Int) -> Verdict {
        if cost > limit { return .exceeds }
        let tooMany = admissions.count + cost - limit
        return tooMany <= 0 ? .allowed : .refused(retryUs: admissions[tooMany - 1] + windowUs - nowUs)
    }

    mutating func consume(cost: Int, lease: String) { admissions += Array(repeating: atUs, count: cost) }

    var remaining: Int { max(0, limit - admissions.count) }
    var resetUs: Int { admissions.last.map { $0 + windowUs - nowUs } ?? 0 }
    var lifeMs: Int { resetUs.dividedUp(by: 1000) }

    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String {
        if let receiptUs {
            let made = admissions.count { $0 == receiptUs }
            guard made > 0 else { return "void" }
            let first = admissions.firstIndex(of: receiptUs)!
            admissions.removeSubrange(first..<first + min(made, amount))
            return "refunded"
        }
        guard !admissions.isEmpty else { return "nothing" }
        admissions.removeLast(min(amount, admissions.count))
        return "refunded"
    }
}
