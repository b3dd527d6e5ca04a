import TestSupport

@testable import Inventory

/// The rules of stock in plain Swift: what the scripts and the group commit must do, written without looking at either.
struct StockModel {
    struct Counters: Equatable {
        var quantity = 0
        var reserved = 0
        var inTransit = 0
        var available: Int { quantity - reserved }
    }

    struct HoldState {
        var status: Hold.Status
        var parts: [Hold.Part]
        /// Counts the holds: who came first.
        var place: Int
        var expiresMs: Int
        var priority: Int
        var isExtended = false
        var step: ReserveStep
        /// What it takes to be made again: its wants as they are now.
        var wants: [ReserveStep.Want]
    }

    struct TransferState {
        var status: Transfer.Status
        var from: String
        var to: String
        var quantity: Int
    }

    static let minStockLevel = 10
    static let maxStockLevel = 60

    var nowMs = 1_700_000_000_000
    var counters: [String: Counters] = [:]
    var holds: [String: HoldState] = [:]
    var transfers: [String: TransferState] = [:]
    var adjusted: [String: String] = [:]
    var levels: [String: StockAlert.Level] = [:]
    /// What was told, as `warning warehouse-1`.
    var events: [String] = []
    private var touched: Set<String> = []
    private var places = 0

    /// One step as a call of its own; what it is answered with, in words.
    mutating func perform(_ operation: Operation) -> String {
        touched = []
        releaseLapsed()
        serveWaiting()
        let answer = judge(operation)
        serveWaiting()
        for warehouse in touched.sorted() { look(warehouse) }
        return answer
    }

    enum Operation: CustomStringConvertible {
        case reserve(ReserveStep)
        case confirm(HoldStep)
        case cancel(HoldStep)
        case extend(String, ms: Int)
        case resize(String, Int, kept: [String: Int])
        case adjust(id: String, warehouse: String, Adjustment.Kind, Int, expected: Int?, force: Bool = false)
        case transfer(id: String, from: String, to: String, Int)
        case move(id: String, Transfer.Status, Int?)

        var description: String {
            switch self {
            case .reserve(let step):
                "reserve \(step.suffix) \(step.wants) \(step.end) priority \(step.priority) kept \(step.kept) \(step.waitsForStock) \(step.waitMs ?? 0) \(step.replaces)"
            case .confirm(let step): "confirm \(step.suffix) \(step.quantity.map { String($0) } ?? "")"
            case .cancel(let step): "cancel \(step.suffix)"
            case .extend(let id, let ms): "extend \(id) \(ms)"
            case .resize(let id, let n, let kept): "resize \(id) \(n) \(kept)"
            case .adjust(let id, let warehouse, let kind, let n, let expected, let force):
                "adjust \(id) \(warehouse) \(kind) \(n) \(expected.map { String($0) } ?? "") \(force)"
            case .transfer(let id, let from, let to, let n): "transfer \(id) \(from) \(to) \(n)"
            case .move(let id, let status, let n): "move \(id) \(status) \(n.map { String($0) } ?? "")"
            }
        }
    }

    private mutating func judge(_ operation: Operation) -> String {
        switch operation {
        case .reserve(let step): reserve(step)
        case .confirm(let step): confirm(step)
        case .cancel(let step): cancel(step)
        case .extend(let id, let ms): extend(id, ms)
        case .resize(let id, let n, let kept): resize(id, n, kept)
        case .adjust(let id, let warehouse, let kind, let n, let expected, let force):
            adjust(id, warehouse, kind, n, expected, force)
        case .transfer(let id, let from, let to, let n): transfer(id, from, to, n)
        case .move(let id, let status, let n): move(id, status, n)
        }
    }

    // MARK: Holds

    /// Who waits, in the order in which they are served.
    private var queue: [(id: String, hold: HoldState)] {
        holds.filter { $0.value.status == .waiting }.map { ($0.key, $0.value) }.sorted {
            (-$0.1.priority, $0.1.place) < (-$1.1.priority, $1.1.place)
        }
    }

    /// What one who comes may take of what is free: nothing where somebody waits who goes before.
    private func mostForComer(_ warehouse: String, _ priority: Int, _ kept: [String: Int]) -> Int {
        let isAwaited = queue.contains { $0.hold.priority >= priority && asked($0.hold).contains(warehouse) }
        let free = free(warehouse, kept)
        return isAwaited ? min(0, free) : free
    }

    private func asked(_ hold: HoldState) -> Set<String> { Set(hold.wants.flatMap(\.from)) }

    private func free(_ warehouse: String, _ kept: [String: Int]) -> Int {
        let c = counters[warehouse] ?? Counters()
        return c.available - (c.quantity * (kept[warehouse] ?? 0) + 999) / 1000
    }

    private func allocate(
        _ wants: [ReserveStep.Want], _ most: (String) -> Int
    ) -> (parts: [Hold.Part]?, had: Int) {
        var taken: [Hold.Part] = []
        var had = 0
        var isShort = false
        func free(_ warehouse: String) -> Int {
            max(0, most(warehouse) - taken.filter { $0.warehouse == warehouse }.reduce(0) { $0 + $1.quantity })
        }
        func take(_ warehouse: String, _ n: Int) {
            if let at = taken.firstIndex(where: { $0.warehouse == warehouse }) {
                taken[at].quantity += n
            } else {
                taken.append(Hold.Part(warehouse: warehouse, quantity: n))
            }
        }
        for want in wants {
            if want.split {
                var rest = want.quantity
                for warehouse in want.from where rest > 0 {
                    let n = min(rest, free(warehouse))
                    if n > 0 { take(warehouse, n) }
                    rest -= n
                }
                had += want.quantity - rest
                if rest > 0 { isShort = true }
            } else if let warehouse = want.from.first(where: { free($0) >= want.quantity }) {
                take(warehouse, want.quantity)
                had += want.quantity
            } else {
                had += want.from.map(free).max() ?? 0
                isShort = true
            }
        }
        return isShort ? (nil, had) : (taken, had)
    }

    private mutating func reserve(_ step: ReserveStep) -> String {
        if let known = holds[step.suffix] { return "existing \(known.status)" }
        let expiresMs =
            switch step.end {
            case .at(let ms): ms
            case .after(let ms): nowMs + ms
            }
        if expiresMs <= nowMs { return "past" }
        if case .at(let ms) = step.end, ms - nowMs > 30 * 86_400_000 { return "far" }
        var own: [String: Int] = [:]
        for id in step.replaces {
            let status = holds[id]?.status
            guard status == .active || status == .waiting else {
                return "replaced \(id) \(status.map { "\($0)" } ?? "missing")"
            }
            if status == .active { for part in holds[id]!.parts { own[part.warehouse, default: 0] += part.quantity } }
        }
        let (parts, had) = allocate(step.wants) { mostForComer($0, step.priority, step.kept) + (own[$0] ?? 0) }
        guard let parts else {
            guard step.waitsForStock else { return "short \(had)" }
            var untilMs = expiresMs
            if let waitMs = step.waitMs {
                untilMs = nowMs + waitMs
                if case .at(let ms) = step.end { untilMs = min(untilMs, ms) }
            }
            holds[step.suffix] = HoldState(
                status: .waiting, parts: [], place: place(), expiresMs: untilMs, priority: step.priority, step: step,
                wants: step.wants)
            return "held waiting"
        }
        for id in step.replaces { release(id, .cancelled) }
        for part in parts { change(part.warehouse, reserved: part.quantity) }
        holds[step.suffix] = HoldState(
            status: .active, parts: parts, place: place(), expiresMs: expiresMs, priority: step.priority, step: step,
            wants: step.wants)
        return "held " + parts.map { "\($0.warehouse):\($0.quantity)" }.joined(separator: " ")
    }

    private mutating func place() -> Int {
        places += 1
        return places
    }

    private mutating func resize(_ id: String, _ n: Int, _ kept: [String: Int]) -> String {
        guard let hold = holds[id] else { return "missing" }
        guard hold.status == .active || hold.status == .waiting else { return "state \(hold.status)" }
        if hold.status == .waiting {
            if hold.wants[0].quantity == n { return "same" }
            holds[id]!.wants[0].quantity = n
            return "done"
        }
        let had = hold.parts.reduce(0) { $0 + $1.quantity }
        if n == had { return "same" }
        var parts = hold.parts
        var rest = n - had
        if rest > 0 {
            for i in parts.indices {
                let most = mostForComer(parts[i].warehouse, hold.priority, hold.priority > 0 ? [:] : kept)
                let more = min(rest, max(0, most))
                parts[i].quantity += more
                rest -= more
            }
            if rest > 0 { return "short \(n - rest)" }
        } else {
            for i in parts.indices.reversed() {
                let less = min(-rest, parts[i].quantity)
                parts[i].quantity -= less
                rest += less
            }
        }
        for (old, new) in zip(hold.parts, parts) where new != old {
            change(old.warehouse, reserved: new.quantity - old.quantity)
        }
        holds[id]!.parts = parts.filter { $0.quantity > 0 }
        return "done"
    }

    private mutating func confirm(_ step: HoldStep) -> String {
        guard let hold = holds[step.suffix] else { return "missing" }
        if hold.status == .confirmed { return "same" }
        guard hold.status == .active else { return "state \(hold.status)" }
        let had = hold.parts.reduce(0) { $0 + $1.quantity }
        var rest = step.quantity ?? had
        if rest > had { return "more \(had)" }
        var left = rest
        for part in hold.parts {
            let n = min(left, part.quantity)
            left -= n
            if counters[part.warehouse]!.quantity < n { return "lacking \(counters[part.warehouse]!.quantity)" }
        }
        for part in hold.parts {
            let n = min(rest, part.quantity)
            rest -= n
            change(part.warehouse, quantity: -n, reserved: -part.quantity)
        }
        holds[step.suffix]?.status = .confirmed
        return "done"
    }

    private mutating func cancel(_ step: HoldStep) -> String {
        guard let hold = holds[step.suffix] else { return "missing" }
        if hold.status == .cancelled { return "same" }
        guard hold.status == .active || hold.status == .waiting else { return "state \(hold.status)" }
        release(step.suffix, .cancelled)
        return "done"
    }

    private mutating func extend(_ id: String, _ ms: Int) -> String {
        guard let hold = holds[id] else { return "missing" }
        guard hold.status == .active || hold.status == .waiting else { return "state \(hold.status)" }
        holds[id]?.expiresMs = nowMs + ms
        holds[id]?.isExtended = true
        return "done"
    }

    private mutating func release(_ id: String, _ status: Hold.Status) {
        if holds[id]!.status == .active {
            for part in holds[id]!.parts { change(part.warehouse, reserved: -part.quantity) }
        }
        holds[id]!.status = status
    }

    private mutating func releaseLapsed() {
        for (id, hold) in holds where hold.status == .active || hold.status == .waiting {
            if hold.expiresMs <= nowMs { release(id, .expired) }
        }
    }

    private mutating func serveWaiting() {
        var spokenFor: Set<String> = []
        for (id, hold) in queue {
            let parts = allocate(hold.wants) { spokenFor.contains($0) ? 0 : free($0, hold.step.kept) }.parts
            guard let parts else {
                spokenFor.formUnion(asked(hold))
                continue
            }
            // How long it is held begins now, unless it was to end at a given time.
            switch hold.step.end {
            case .after(let ms): holds[id]!.expiresMs = nowMs + ms
            case .at(let ms): if !hold.isExtended { holds[id]!.expiresMs = ms }
            }
            for part in parts { change(part.warehouse, reserved: part.quantity) }
            holds[id]!.status = .active
            holds[id]!.parts = parts
        }
    }

    // MARK: Stock on hand

    private mutating func change(_ warehouse: String, quantity: Int = 0, reserved: Int = 0, inTransit: Int = 0) {
        counters[warehouse, default: Counters()].quantity += quantity
        counters[warehouse, default: Counters()].reserved += reserved
        counters[warehouse, default: Counters()].inTransit += inTransit
        if quantity != reserved { touched.insert(warehouse) }
    }

    private mutating func adjust(
        _ id: String, _ warehouse: String, _ kind: Adjustment.Kind, _ n: Int, _ expected: Int?, _ force: Bool
    ) -> String {
        if let known = adjusted[id] { return known }
        let c = counters[warehouse] ?? Counters()
        if let expected, expected != c.quantity { return "expected \(c.quantity)" }
        let wanted =
            switch kind {
            case .add: c.quantity + n
            case .subtract: c.quantity - n
            case .set: n
            }
        if wanted > 9_007_199_254_740_991 { return "limit" }
        if wanted < 0 || (wanted < c.reserved && wanted < c.quantity && !force) {
            return "below \(c.quantity) \(c.reserved)"
        }
        if wanted != c.quantity { change(warehouse, quantity: wanted - c.quantity) }
        if force, wanted < c.reserved { events.append("oversold \(warehouse)") }
        adjusted[id] = "\(c.quantity) to \(wanted)"
        return adjusted[id]!
    }

    private mutating func transfer(_ id: String, _ from: String, _ to: String, _ n: Int) -> String {
        if let known = transfers[id] { return "existing \(known.status.rawValue)" }
        let available = counters[from]?.available ?? 0
        if available < n { return "short \(max(0, available))" }
        change(from, reserved: n)
        transfers[id] = TransferState(status: .pending, from: from, to: to, quantity: n)
        return "held"
    }

    private mutating func move(_ id: String, _ status: Transfer.Status, _ n: Int?) -> String {
        guard let known = transfers[id] else { return "missing" }
        if known.status == status { return "same" }
        if let n, n > known.quantity { return "more \(known.quantity)" }
        let all = known.quantity
        switch (known.status, status) {
        case (.pending, .inTransit) where counters[known.from]!.quantity < all:
            return "lacking \(counters[known.from]!.quantity)"
        case (.pending, .inTransit):
            change(known.from, quantity: -all, reserved: -all)
            change(known.to, inTransit: all)
        case (.inTransit, .received): change(known.to, quantity: n ?? all, inTransit: -all)
        case (.pending, .cancelled): change(known.from, reserved: -all)
        case (.inTransit, .cancelled):
            change(known.to, inTransit: -all)
            change(known.from, quantity: all)
        default: return "state \(known.status.rawValue)"
        }
        transfers[id]!.status = status
        return "done"
    }

    // MARK: Alerts

    private mutating func look(_ warehouse: String) {
        let available = counters[warehouse]!.available
        let calm = StockModel.minStockLevel + (StockModel.minStockLevel + 9) / 10
        let full = StockModel.maxStockLevel - (StockModel.maxStockLevel + 19) / 20
        var level: StockAlert.Level?
        if available <= StockModel.minStockLevel { level = .warning }
        if available <= StockModel.minStockLevel / 2 { level = .critical }
        if available <= 0 { level = .emergency }
        if available > StockModel.maxStockLevel { level = .overstock }
        let old = levels[warehouse]
        let order: [StockAlert.Level] = [.warning, .critical, .emergency]
        switch old {
        case nil: break
        case .overstock?: if available > full { level = .overstock }
        case let old?:
            if level == nil, available <= calm { level = old }
            if let new = level, let rank = order.firstIndex(of: new), rank < order.firstIndex(of: old)! { level = old }
        }
        guard level != old else { return }
        let isWorse = old != nil && level != nil && level != .overstock && old != .overstock
        if old != nil, !isWorse { events.append("resolved \(warehouse)") }
        if let level { events.append("\(level) \(warehouse)") }
        levels[warehouse] = level
    }
}
