/// Which node serves which slot, as far as has been heard. Pure: it is told, and asked.
///
/// Nodes are numbered in the order in which they are first heard of and keep their numbers.
struct SlotMap {
    static let nobody = UInt16.max

    private(set) var addresses: [RedisConfiguration.Address] = []
    private var numbers: [RedisConfiguration.Address: Int] = [:]
    private var owners = [UInt16](repeating: nobody, count: RedisSlot.count)
    /// When each slot was given to its owner, by the cluster's own clock: a node that was away must not undo what was
    /// decided meanwhile.
    private var epochs = [UInt64](repeating: 0, count: RedisSlot.count)
    /// The nodes that serve a slot, or could.
    private(set) var masters: Set<Int> = []

    /// The node of a slot; nil while nobody is known to serve it.
    @inline(__always)
    func owner(ofSlot slot: Int) -> Int? {
        let owner = owners[slot]
        return owner == SlotMap.nobody ? nil : Int(owner)
    }

    var isComplete: Bool { !owners.contains(SlotMap.nobody) }

    /// The number of a node, which is given one if it has none.
    mutating func number(of address: RedisConfiguration.Address) -> Int {
        if let number = numbers[address] { return number }
        numbers[address] = addresses.count
        addresses.append(address)
        return addresses.count - 1
    }

    /// A node that announces a name (`host:port@bus,name`) is the same under both; redirections may use either.
    private mutating func know(_ address: RedisConfiguration.Address, byName text: Substring) {
        guard let comma = text.firstIndex(of: ","), case .tcp(_, let port) = address else { return }
        let name = text[text.index(after: comma)...].prefix { $0 != "," }
        if name.isEmpty { return }
        let alias = RedisConfiguration.Address.tcp(host: String(name), port: port)
        numbers[alias] = number(of: address)
    }

    /// A node said that a slot is served by another.
    mutating func move(slot: Int, to address: RedisConfiguration.Address) -> Int {
        let number = number(of: address)
        owners[slot] = UInt16(number)
        masters.insert(number)
        return number
    }

    /// Takes in what a node knows of all.
    /// - Parameters:
    ///   - text: the reply to `CLUSTER NODES`: a line per node, `id host:port@bus[,name] flags … epoch link slots…`.
    ///   - answering: the host that said it.
    /// - Returns: whether anything changed.
    mutating func learn(_ text: String, answering: String) -> Bool {
        var hasChanged = false
        var able: Set<Int> = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            let flags = words.count >= 8 ? words[2].split(separator: ",") : []
            guard flags.contains("master"), let epoch = UInt64(words[6]),
                let place = words[1].split(separator: "@").first,
                let address = Redirection.address(place, answering)
            else { continue }
            know(address, byName: words[1])
            if flags.contains("noaddr") || flags.contains("handshake") { continue }
            let number = UInt16(number(of: address))
            if !flags.contains("fail") { able.insert(Int(number)) }
            for range in words[8...] where !range.hasPrefix("[") {
                let ends = range.split(separator: "-").compactMap { Int($0) }
                guard let first = ends.first, let last = ends.last, first <= last, last < RedisSlot.count else {
                    continue
                }
                for slot in first...last where epoch >= epochs[slot] {
                    epochs[slot] = epoch
                    if owners[slot] != number {
                        owners[slot] = number
                        hasChanged = true
                    }
                }
            }
        }
        for owner in owners where owner != SlotMap.nobody { able.insert(Int(owner)) }
        if able != masters { hasChanged = true }
        masters = able
        return hasChanged
    }
}
