import Synchronization

/// A call of a check script: checks of some subjects under the same rules at one moment.
struct CheckCall {
    struct Subject {
        /// One per rule.
        var keys: [String]
        var costs: [Int]
    }

    /// Enforcing ones first.
    var rules: [ScriptRule]
    var enforcing: Int
    var nowUs: Int
    /// The caller's clock, by which it picks calendar periods; nil for the script's.
    var callerUs: Int?
    var isPeek = false
    var subjects: [Subject]
    /// Begins the ids of the leases that the call takes.
    var prefix: String
    /// Whether the script for several rules is used even for one.
    var usesComposed = false

    private static let made = Atomic<Int>(0)

    /// - Parameter prefix: a fresh one unless it is given.
    init(
        _ rules: [ScriptRule], enforcing: Int? = nil, nowUs: Int, callerUs: Int? = nil, isPeek: Bool = false,
        subjects: [Subject], prefix: String? = nil, usesComposed: Bool = false
    ) {
        self.rules = rules
        self.enforcing = enforcing ?? rules.count
        self.nowUs = nowUs
        self.callerUs = callerUs
        self.isPeek = isPeek
        self.subjects = subjects
        self.prefix = prefix ?? "lease\(CheckCall.made.add(1, ordering: .relaxed).newValue)"
        self.usesComposed = usesComposed
    }

    /// One subject under one rule.
    init(_ rule: ScriptRule, _ key: String, nowUs: Int, costs: [Int], isPeek: Bool = false) {
        self.init([rule], nowUs: nowUs, isPeek: isPeek, subjects: [Subject(keys: [key], costs: costs)])
    }
}

/// What a request is told under a rule.
struct ScriptOutcome: Equatable {
    var word: String
    var remaining: Int
    var resetUs: Int
    var retryUs: Int
}

struct CheckReply: Equatable {
    var isStale = false
    /// Per subject, request and rule.
    var outcomes: [ScriptOutcome] = []
    /// Per key, ms.
    var lives: [Int] = []
    var clockResets = 0

    var words: [String] { outcomes.map(\.word) }
}

/// The store of the models: what the scripts and Redis should say.
struct ModelStore {
    private(set) var states: [String: any StrategyModel] = [:]

    mutating func check(_ call: CheckCall) -> CheckReply {
        var reply = CheckReply()
        if call.rules.contains(where: { $0.isStale(call) }) { return CheckReply(isStale: true) }
        var ordinal = 0
        for subject in call.subjects {
            var models: [any StrategyModel] = []
            var keeps: [Bool] = []
            for (rule, key) in zip(call.rules, subject.keys) {
                var model = states[key] ?? emptyModel(rule)
                let look = model.look(rule, nowUs: call.nowUs)
                models.append(model)
                keeps.append(look.mustBeKept)
                reply.clockResets += look.clockReset ? 1 : 0
            }
            for cost in subject.costs {
                ordinal += 1
                let verdicts = models.map { $0.verdict(cost: cost) }
                let isAllowed = verdicts[..<call.enforcing].allSatisfy { $0 == .allowed }
                for i in models.indices {
                    if isAllowed, !call.isPeek, verdicts[i] == .allowed {
                        models[i].consume(cost: cost, lease: "\(call.prefix)-\(ordinal)")
                        keeps[i] = true
                    }
                    reply.outcomes.append(ScriptOutcome(verdicts[i], models[i]))
                }
            }
            for i in models.indices {
                if keeps[i], !call.isPeek {
                    if var bucket = models[i] as? TokenBucketModel {
                        bucket.keep()
                        models[i] = bucket
                    }
                    states[subject.keys[i]] = models[i]
                }
                reply.lives.append(models[i].lifeMs)
            }
        }
        return reply
    }

    /// What the refund script answers: word, remaining.
    mutating func refund(_ rule: ScriptRule, _ key: String, nowUs: Int, amount: Int, receiptUs: Int?) -> (String, Int) {
        var model = states[key] ?? emptyModel(rule)
        let look = model.look(rule, nowUs: nowUs)
        let word = model.giveBack(amount, receiptUs: receiptUs)
        if states[key] != nil, word == "refunded" || look.clockReset { states[key] = model }
        return (word, model.remaining)
    }

    /// The leases that a key holds.
    func leases(of key: String) -> [String] { (states[key] as? LeaseModel)?.leases ?? [] }

    /// Changes a key's leases behind the checks' back.
    mutating func withLeases<Result>(_ key: String, _ body: (inout LeaseModel) -> Result) -> Result {
        var model = states[key] as? LeaseModel ?? LeaseModel()
        defer { states[key] = model }
        return body(&model)
    }
}

extension ScriptOutcome {
    fileprivate init(_ verdict: Verdict, _ model: any StrategyModel) {
        switch verdict {
        case .allowed: self.init(word: "allowed", model, retryUs: 0)
        case .refused(let retryUs): self.init(word: "refused", model, retryUs: retryUs)
        case .exceeds: self.init(word: "exceeds", model, retryUs: 0)
        }
    }

    private init(word: String, _ model: any StrategyModel, retryUs: Int) {
        self.init(word: word, remaining: model.remaining, resetUs: model.resetUs, retryUs: retryUs)
    }
}

extension ScriptRule {
    /// The starts of the periods that a call carries: previous, current, following, the one after, by the caller's clock.
    func periods(callerUs: Int) -> [Int] {
        guard case .quota(_, let periods) = self else { return [] }
        let current = periods.number(at: callerUs)
        return (current - 1...current + 2).map { periods.start($0) }
    }

    fileprivate func isStale(_ call: CheckCall) -> Bool {
        let known = periods(callerUs: call.callerUs ?? call.nowUs)
        guard let first = known.first, let end = known.last else { return false }
        // A state may be a second ahead, in a period whose end must be known too.
        return call.nowUs < first || call.nowUs + 1_000_000 >= end
    }
}
