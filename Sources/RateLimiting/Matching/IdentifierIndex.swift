import Bytes
import Services

/// The rules of each endpoint pattern, by whom they are for: those for anybody as a list, those for named identities in a
/// hash table, those for address blocks in one with an entry per block. A request looks up its own name, and its address
/// once for each length that the pattern's blocks have, whatever the number of rules.
///
/// Like `EndpointIndex` it lies in arrays of plain values, with places instead of references.
struct IdentifierIndex: Sendable {
    /// A rule that the request's endpoint and identity meet.
    struct Hit {
        let rule: Int32
        /// How specifically the identity is meant: 0 by a rule for anybody.
        let rank: Int32
    }

    /// What is known of one endpoint pattern.
    private struct Place {
        /// The first rule for anybody, in `links`.
        var anybody: Int32 = -1
        var lastAnybody: Int32 = -1
        var hasNames = false
        /// The first length of its blocks, in `lengths`.
        var lengths: Int32 = -1
    }

    /// One rule in a list of rules.
    private struct Link {
        let rule: Int32
        /// Namespaces in which the name is meant.
        let kinds: UInt8
        var next: Int32
    }

    private struct Length {
        let isV4: Bool
        let bits: UInt8
        let next: Int32
    }

    private struct Name {
        let hash: UInt64
        let place: Int32
        let start: Int32
        let count: Int32
        var links: Int32
    }

    private struct Block: Hashable {
        let place: Int32
        let bits: UInt8
        let base: IPAddress
    }

    private var places: [Place] = []
    private var links: [Link] = []
    private var lengths: [Length] = []
    private var names: [Name] = []
    /// Places in `names` by hash, -1 where there is none.
    private var slots: [Int32] = Array(repeating: -1, count: 16)
    private var texts: [UInt8] = []
    private var blocks: [Block: Int32] = [:]
    private let seed = UInt64.random(in: .min ... .max)

    // MARK: Making

    /// Makes room for another endpoint pattern.
    mutating func addPlace() -> Int32 {
        places.append(Place())
        return Int32(places.count - 1)
    }

    /// - Parameter identifiers: whom the rule is for; nil for anybody.
    mutating func insert(_ rule: Int32, at place: Int32, identifiers: [String]?) {
        guard let identifiers else {
            let link = add(rule, next: -1)
            let last = places[Int(place)].lastAnybody
            if last < 0 { places[Int(place)].anybody = link } else { links[Int(last)].next = link }
            places[Int(place)].lastAnybody = link
            return
        }
        for text in identifiers {
            switch IdentifierMatcher(text) {
            case .name(let kinds, let name): insert(name, kinds, rule, place)
            case .block(let block): insert(block, rule, place)
            }
        }
    }

    private mutating func insert(_ name: [UInt8], _ kinds: UInt8, _ rule: Int32, _ place: Int32) {
        places[Int(place)].hasNames = true
        let slot = name.withByteView { name in look { $0.slot(name, place) } }
        if slots[slot] >= 0 {
            let at = Int(slots[slot])
            names[at].links = add(rule, kinds, next: names[at].links)
            return
        }
        slots[slot] = Int32(names.count)
        names.append(
            Name(
                hash: name.withByteView { name in look { $0.hash(name, place) } }, place: place,
                start: Int32(texts.count), count: Int32(name.count), links: add(rule, kinds, next: -1)))
        texts += name
        if names.count * 2 > slots.count { grow() }
    }

    private mutating func insert(_ block: AddressBlock, _ rule: Int32, _ place: Int32) {
        let bits = UInt8(block.bits)
        var next = places[Int(place)].lengths
        while next >= 0, lengths[Int(next)].isV4 != block.base.isV4 || lengths[Int(next)].bits != bits {
            next = lengths[Int(next)].next
        }
        if next < 0 {
            lengths.append(Length(isV4: block.base.isV4, bits: bits, next: places[Int(place)].lengths))
            places[Int(place)].lengths = Int32(lengths.count - 1)
        }
        let key = Block(place: place, bits: bits, base: block.base)
        blocks[key] = add(rule, next: blocks[key] ?? -1)
    }

    private mutating func add(_ rule: Int32, _ kinds: UInt8 = .max, next: Int32) -> Int32 {
        links.append(Link(rule: rule, kinds: kinds, next: next))
        return Int32(links.count - 1)
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for (number, name) in names.enumerated() {
            var slot = Int(truncatingIfNeeded: name.hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(number)
        }
    }

    // MARK: Finding

    /// Appends every rule at the endpoint patterns `found` that is for the request's identity or address; a rule that is
    /// for both, or for several of the blocks, comes once for each.
    func find(_ found: [Int32], _ request: CheckRequest, _ hits: inout [Hit]) {
        look { look in
            for place in found { look.visit(place, request, &hits) }
        }
        guard let address = request.address, !blocks.isEmpty else { return }
        for place in found {
            var next = places[Int(place)].lengths
            while next >= 0 {
                let length = lengths[Int(next)]
                next = length.next
                guard length.isV4 == address.isV4 else { continue }
                let block = Block(place: place, bits: length.bits, base: address.prefix(Int(length.bits)))
                var link = blocks[block] ?? -1
                while link >= 0 {
                    hits.append(Hit(rule: links[Int(link)].rule, rank: Int32(length.bits) + 1))
                    link = links[Int(link)].next
                }
            }
        }
    }

    @inline(__always)
    private func look<Result>(_ body: (Look) -> Result) -> Result {
        places.withUnsafeBufferPointer { places in
            links.withUnsafeBufferPointer { links in
                names.withUnsafeBufferPointer { names in
                    slots.withUnsafeBufferPointer { slots in
                        texts.withUnsafeBufferPointer { texts in
                            body(
                                Look(
                                    places: places, links: links, names: names, slots: slots, texts: ByteView(texts),
                                    seed: seed))
                        }
                    }
                }
            }
        }
    }

    private struct Look {
        let places: UnsafeBufferPointer<Place>
        let links: UnsafeBufferPointer<Link>
        let names: UnsafeBufferPointer<Name>
        let slots: UnsafeBufferPointer<Int32>
        let texts: ByteView
        let seed: UInt64

        func hash(_ name: ByteView, _ place: Int32) -> UInt64 {
            name.hash(seed: seed ^ UInt64(truncatingIfNeeded: place) &* 0x9E37_79B9_7F4A_7C15)
        }

        /// The slot that holds the name's place, or the empty one where it would go.
        func slot(_ name: ByteView, _ place: Int32) -> Int {
            let hash = hash(name, place)
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] >= 0 {
                let held = names[Int(slots[slot])]
                if held.hash == hash, held.place == place,
                    texts.slice(Int(held.start), Int(held.start) + Int(held.count)) == name
                {
                    return slot
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return slot
        }

        @inline(__always)
        func visit(_ number: Int32, _ request: CheckRequest, _ hits: inout [Hit]) {
            let place = places[Int(number)]
            var next = place.anybody
            while next >= 0 {
                hits.append(Hit(rule: links[Int(next)].rule, rank: 0))
                next = links[Int(next)].next
            }
            guard place.hasNames else { return }
            let held = slots[slot(request.identity.value, number)]
            guard held >= 0 else { return }
            let kind: UInt8 = 1 << UInt8(request.identity.kind.rawValue)
            next = names[Int(held)].links
            while next >= 0 {
                let link = links[Int(next)]
                if link.kinds & kind != 0 {
                    hits.append(Hit(rule: link.rule, rank: Int32(IdentifierMatcher.rankOfName)))
                }
                next = link.next
            }
        }
    }
}
