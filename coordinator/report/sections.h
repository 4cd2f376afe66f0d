// Parts that a sweep's report and the page of all takeaways have in common, as blocks of a document. Pure; any thread.
#pragma once

#include <vector>

#include "coordinator/report/document.h"
#include "coordinator/report/emergence.h"
#include "coordinator/report/labels.h"
#include "coordinator/report/study.h"

namespace sink::report {

// What removes a sink, and at what price in loss: a table and two figures. Nothing where WhatRemovesTheSink has
// nothing.
void AddRemoval(const Study& study, const Palette& palette, Document* document);

// When the sink emerges in each setting of an experiment, and what comes before it. Nothing where no run measured it.
void AddEmergence(const Study& study, const Experiment& experiment, const Palette& palette, Document* document);

// When the sinks of each point come to stay, a row each.
struct OnsetTable {
  DataTable table;
  bool measured = false;    // by some run
  bool any = false;         // sink comes to stay
  int unfinished = 0;       // runs that were stopped, failed or diverged
  int unconfirmed = 0;      // runs whose strongest head is a sink at the last measurement alone
  bool from_start = false;  // some sink is there at step 0
};
OnsetTable TableOfOnsets(const Study& study, const std::vector<Line>& lines);

// What comes before the sink among these runs, of which `orders` are: a sentence and a table. Nothing for no orders.
void AddOrder(const Emerged& emerged, const std::vector<Order>& orders, Document* document);

}  // namespace sink::report
