// The binding: what Python sees of the C runtime. runtime/_core.pyi has the types.
#include "angular_delay.hpp"
#include "bound.hpp"
#include "part.hpp"

namespace {

// (name, can this machine run it?) of each instruction set of this build, slowest first.
nb::list isas() {
    nb::list list;
    csd_isa isa;
    for (std::uint32_t i = 0; csd_isa_at(i, &isa); i++)
        list.append(nb::make_tuple(isa.name, isa.available != 0));
    return list;
}

// A callable without arguments, and what it runs on.
nb::object bind(nb::object part, nb::handle inputs, nb::tuple outputs, std::size_t samples,
                std::uint32_t k) {
    auto *bound = new Bound(std::move(part), inputs, std::move(outputs), samples, k);
    return nb::steal(Bound::callable(nb::cast(bound, nb::rv_policy::take_ownership)));
}

} // namespace

NB_MODULE(_core, m) {
    m.doc() = "Binding of the csideploy C runtime; use csideploy.runtime instead.";
    m.attr("FORMAT_VERSION") = nb::make_tuple(CSD_FORMAT_MAJOR, CSD_FORMAT_MINOR);
    m.def("isas", &isas);
    nb::class_<Part>(m, "Part")
        .def(nb::init<nb::bytes, const std::string &>(), nb::arg("bundle"), nb::arg("isa") = "")
        .def_prop_ro("isa", &Part::isa)
        .def_prop_ro("refusal", &Part::refusal)
        .def("set_arena", &Part::set_arena, nb::arg("size"))
        .def("fill_arena", &Part::fill_arena, nb::arg("value"))
        .def_prop_ro("part", &Part::part)
        .def_prop_ro("side", &Part::side)
        .def_prop_ro("arena_bytes", &Part::arena_bytes)
        .def_prop_ro("prepared_bytes", &Part::prepared_bytes)
        .def_prop_ro("n_max", &Part::n_max)
        .def_prop_ro("k_max", &Part::k_max)
        .def_prop_ro("pairing_id", &Part::pairing_id)
        .def_prop_ro("inputs", &Part::inputs)
        .def_prop_ro("outputs", &Part::outputs)
        .def_prop_ro("payload", &Part::payload)
        .def_prop_ro("metadata", &Part::metadata)
        .def_prop_ro("steps", &Part::steps)
        .def("run", &Part::run, nb::arg("inputs"), nb::arg("outputs"), nb::arg("samples"),
             nb::arg("k"))
        .def("trace", &Part::trace, nb::arg("inputs"), nb::arg("outputs"), nb::arg("k"))
        .def("fork", &Part::fork, nb::rv_policy::take_ownership)
        .def("profile", &Part::profile, nb::arg("inputs"), nb::arg("outputs"), nb::arg("samples"),
             nb::arg("k"));
    nb::class_<AngularDelay>(m, "AngularDelay")
        .def(nb::init<std::uint32_t, std::uint32_t, std::uint32_t, const std::string &>(),
             nb::arg("subcarriers"), nb::arg("antennas"), nb::arg("delays"), nb::arg("isa") = "")
        .def("run", &AngularDelay::run, nb::arg("h"), nb::arg("results"), nb::arg("count"));
    nb::class_<Bound>(m, "Bound"); // self of what bind gives
    m.def("bind", &bind, nb::arg("part"), nb::arg("inputs"), nb::arg("outputs"), nb::arg("samples"),
          nb::arg("k"));
}
