#include <iostream>
void loud(const char* foreign) { std::cerr << foreign; }
